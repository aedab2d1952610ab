"""How fast and how heavy the chat page is when it is opened for the first time.

    python benchmarks/first_paint.py [--times 10]

Serves the page as the tests do, without vLLM, and opens it in Chromium, each time in a fresh context with nothing
cached. Prints the median and the longest time to the first paint and to the first contentful paint (to reach: 200 ms
on loopback), the bytes of the first load with headers and the API's first answers (to reach: 150 kB), and the requests
to other hosts (to reach: none). Exit code 1 when one of the three is missed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
MOST_MS, MOST_BYTES = 200, 150_000
PAINTS = "Object.fromEntries(performance.getEntriesByType('paint').map((paint) => [paint.name, paint.startTime]))"
START_S = 120


@dataclass(frozen=True)
class Opened:
    """One first load: milliseconds from its beginning, bytes, and the requests that went elsewhere."""

    paint_ms: float
    contentful_ms: float
    ready_ms: float
    weight: int
    requests: int
    elsewhere: list[str]


def opened(browser: "Browser", url: str) -> Opened:
    """Open the page with nothing cached, until the model can be chosen and the conversations are listed."""
    context = browser.new_context()
    try:
        page, asked, finished = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("requestfinished", lambda request: finished.append(request))
        page.goto(url)
        page.wait_for_selector("#menus button")
        page.wait_for_selector(".entry, .none")
        ready = page.evaluate("performance.now()")
        page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
        paints = page.evaluate(PAINTS)
        sizes = [request.sizes() for request in finished]
        return Opened(
            paints["first-paint"],
            paints["first-contentful-paint"],
            ready,
            sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes),
            len(asked),
            [asked_url for asked_url in asked if not asked_url.startswith((url, "data:", "blob:"))],
        )
    finally:
        context.close()


def serve(port: int, home: str) -> subprocess.Popen:
    """The page's server in a process of its own, ready."""
    import httpx

    environment = {**os.environ, "HOMEGROWN_HOME": home}
    command = [sys.executable, "-m", "tests.page_server", "--port", str(port), "--home", home]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200:
                return server
        except httpx.TransportError:
            time.sleep(0.2)
    server.kill()
    sys.exit("The server did not become ready.")


def main() -> None:
    """Run it."""
    from playwright.sync_api import sync_playwright

    from serving.engine import free_port

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    if not CHROMIUM.exists():
        sys.exit(f"There is no {CHROMIUM}: install Chromium.")
    port = free_port()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as started:
        server = serve(port, home)
        try:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            loads = [opened(browser, f"http://127.0.0.1:{port}/") for _ in range(times)]
            browser.close()
        finally:
            server.terminate()
            server.wait(30)
    elsewhere = {url for load in loads for url in load.elsewhere}
    median_ms = statistics.median(load.paint_ms for load in loads)
    weight = max(load.weight for load in loads)
    for name, values in {
        "first paint": [load.paint_ms for load in loads],
        "first contentful paint": [load.contentful_ms for load in loads],
        "usable": [load.ready_ms for load in loads],
    }.items():
        print(f"{name:26}{statistics.median(values):8.0f} ms median of {times}, longest {max(values):.0f} ms")
    print(f"{'first load':26}{weight / 1000:8.1f} kB in {loads[0].requests} requests")
    print(f"{'requests to other hosts':26}{len(elsewhere):8} {' '.join(sorted(elsewhere))}")
    print(f"{'load of the machine':26}{os.getloadavg()[0]:8.1f} on {os.cpu_count()} cores")
    sys.exit(median_ms > MOST_MS or weight > MOST_BYTES or bool(elsewhere))


if __name__ == "__main__":
    main()
