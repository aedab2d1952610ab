"""What is counted while we serve, as Prometheus reads it. Labels come from small sets: no ids, no users, no texts."""

import asyncio
import urllib.request
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.child_engine import ChildEngine
from serving.engine import Engine

MAX_TOOLS = 32
OTHER = "other"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
SCRAPE_S = 2.0
# What vLLM says of itself that whoever operates us wants to see beside our own.
VLLM_FAMILIES = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total",
)


class Metrics:
    """The counters of one API, in a registry of their own.

    `engines` may be exchanged while we serve; they are named by what they make, "text" or "images".
    """

    def __init__(self, engines: dict[str, Engine]) -> None:
        self.registry = CollectorRegistry()
        self._tools: set[str] = set()
        self.engines = engines

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"homegrown_{name}", about, labels, registry=self.registry)

        def seconds(name: str, about: str, *labels: str) -> Histogram:
            return Histogram(f"homegrown_{name}", about, labels, registry=self.registry, buckets=SECONDS)

        self._requests = counter("requests", "Answered requests", "route", "status")
        self._request_seconds = seconds("request_seconds", "From a request to the end of its answer", "route")
        self._first_token = seconds("first_token_seconds", "From a request to the first bytes of its streamed answer")
        self._running = Gauge("homegrown_requests_running", "Requests being answered", registry=self.registry)
        self._prompt_tokens = counter("prompt_tokens", "Tokens read", "model")
        self._generated_tokens = counter("generated_tokens", "Tokens written", "model")
        self._tool_calls = counter("tool_calls", "Tools that the assistant ran", "tool", "failed")
        self._pictures = counter("pictures", "Pictures drawn")
        self.registry.register(EngineCollector(engines))
        ProcessCollector(registry=self.registry)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is the path's pattern, not the path."""
        self._requests.labels(route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def running(self, count: Callable[[], int]) -> None:
        """Ask `count` how many requests are being answered."""
        self._running.set_function(count)

    def first_token(self, seconds: float) -> None:
        """A stream of a model began."""
        self._first_token.observe(seconds)

    def tokens(self, model: str, prompt: int, generated: int) -> None:
        """One of our models read and wrote."""
        self._prompt_tokens.labels(model).inc(prompt)
        self._generated_tokens.labels(model).inc(generated)

    def tool_call(self, name: str, failed: bool) -> None:
        """A tool was called. Models call tools by names that they make up, and series must stay few."""
        if len(self._tools) < MAX_TOOLS:
            self._tools.add(name)
        self._tool_calls.labels(name if name in self._tools else OTHER, str(failed).lower()).inc()

    def pictures(self, count: int) -> None:
        """Pictures were drawn."""
        self._pictures.inc(count)

    async def text(self) -> bytes:
        """Everything in Prometheus's text format, the text engine's own figures included while it answers."""
        ours = generate_latest(self.registry)
        return ours + await asyncio.to_thread(vllm_metrics, self.engines["text"].base_url)


class EngineCollector(Collector):
    """Asks the engines how they are when somebody looks."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = engines

    def collect(self) -> Iterable[Metric]:
        """Whether each engine is ready, and how often those that are our children were started again."""
        ready = GaugeMetricFamily("homegrown_engine_ready", "1 while the engine can answer", labels=["engine"])
        restarts = CounterMetricFamily("homegrown_engine_restarts", "Restarts of a dead engine", labels=["engine"])
        for name, engine in self._engines.items():
            ready.add_metric([name], engine.state.name == "ready")
            if isinstance(engine, ChildEngine):
                restarts.add_metric([name], engine.restarts)
        return ready, restarts


def vllm_metrics(base_url: str) -> bytes:
    """Those of `VLLM_FAMILIES` that the engine at `base_url` tells; none when it does not answer."""
    try:
        with urllib.request.urlopen(base_url.removesuffix("/v1") + "/metrics", timeout=SCRAPE_S) as answer:
            lines = answer.read().splitlines(keepends=True)
    except (OSError, ValueError):
        return b""
    wanted = tuple(
        start.encode()
        for family in VLLM_FAMILIES
        for start in (f"{family}{{", f"# HELP {family} ", f"# TYPE {family} ")
    )
    return b"".join(line for line in lines if line.startswith(wanted))
