import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from serving.metrics import MAX_TOOLS, Metrics
from tests.unit.serving.test_child_engine import SERVER, Child
from tests.unit.serving.traffic_api import build_app, serve_traffic

VLLM = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
# HELP vllm:e2e_request_latency_seconds Histogram of e2e request latency in seconds.
# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_count{engine="0",model_name="tiny"} 9.0
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="tiny"} 42.0
# TYPE vllm:generation_tokens_created gauge
vllm:generation_tokens_created{engine="0",model_name="tiny"} 1.7e9
"""


def value(text: str, series: str) -> float:
    """The value of one series, labels and all."""
    (line,) = re.findall(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(line)


async def exposed(metrics: Metrics) -> str:
    return (await metrics.text()).decode()


def test_requests_are_counted_by_route_and_status() -> None:
    with serve_traffic(build_app()) as (url, _), httpx.Client(base_url=url) as http:
        for number in range(5):
            http.get(f"/v1/things/{number}")
        http.get("/wp-admin.php")
        http.get("/v1/broken")
        text = http.get("/metrics").text
    assert value(text, 'homegrown_requests_total{route="/v1/things/{name}",status="200"}') == 5
    assert value(text, 'homegrown_requests_total{route="other",status="404"}') == 1
    assert value(text, 'homegrown_requests_total{route="/v1/broken",status="500"}') == 1
    assert value(text, 'homegrown_request_seconds_count{route="/v1/things/{name}"}') == 5
    assert value(text, "homegrown_requests_running") == 1  # the one that asks
    assert "wp-admin" not in text
    assert value(text, "process_open_fds") > 0


def test_only_the_streams_of_models_have_a_first_token() -> None:
    with serve_traffic(build_app()) as (url, _), httpx.Client(base_url=url) as http:
        for path in ("/v1/completions", "/v1/endless", "/api/endless"):
            with http.stream("GET", path) as answer:
                next(answer.iter_bytes())
        http.get("/v1/things/1")
        # A stream is counted when its client is seen to have gone.
        while value(text := http.get("/metrics").text, "homegrown_requests_running") > 1:
            pass
    assert value(text, "homegrown_first_token_seconds_count") == 1


@pytest.mark.anyio
async def test_what_rooms_above_report() -> None:
    metrics = Metrics({"text": build_app().state.engine})
    metrics.tool_call("calculate", failed=False)
    metrics.tool_call("calculate", failed=True)
    metrics.tokens("almanac", 10, 4)
    metrics.pictures(2)
    text = await exposed(metrics)
    assert value(text, 'homegrown_tool_calls_total{failed="true",tool="calculate"}') == 1
    assert value(text, 'homegrown_prompt_tokens_total{model="almanac"}') == 10
    assert value(text, 'homegrown_generated_tokens_total{model="almanac"}') == 4
    assert value(text, "homegrown_pictures_total") == 2


@pytest.mark.anyio
async def test_names_that_a_model_makes_up_do_not_become_series_without_end() -> None:
    metrics = Metrics({"text": build_app().state.engine})
    for number in range(10 * MAX_TOOLS):
        metrics.tool_call(f"tool_{number}", failed=True)
    text = await exposed(metrics)
    assert text.count("homegrown_tool_calls_total{") == MAX_TOOLS + 1
    assert value(text, 'homegrown_tool_calls_total{failed="true",tool="other"}') == 9 * MAX_TOOLS


@pytest.mark.anyio
async def test_two_apis_of_one_process_count_apart() -> None:
    one, other = (Metrics({"text": build_app().state.engine}) for _ in range(2))
    one.pictures(1)
    assert value(await exposed(other), "homegrown_pictures_total") == 0


@pytest.mark.anyio
async def test_an_engine_that_dies_is_counted_when_it_is_started_again() -> None:
    with Child(SERVER) as engine:
        metrics = Metrics({"text": engine})
        text = await exposed(metrics)
        assert value(text, 'homegrown_engine_ready{engine="text"}') == 1
        assert value(text, 'homegrown_engine_restarts_total{engine="text"}') == 0
        engine.restarts += 1
        assert value(await exposed(metrics), 'homegrown_engine_restarts_total{engine="text"}') == 1
    assert value(await exposed(metrics), 'homegrown_engine_ready{engine="text"}') == 0


class Vllm(BaseHTTPRequestHandler):
    """Says what vLLM says of itself."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(VLLM.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.anyio
async def test_the_engines_own_figures_that_matter_are_passed_on() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Vllm) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        text = await exposed(Metrics({"text": build_app(f"http://127.0.0.1:{server.server_port}/v1").state.engine}))
        server.shutdown()
    assert value(text, 'vllm:num_requests_running{engine="0",model_name="tiny"}') == 3
    assert value(text, 'vllm:generation_tokens_total{engine="0",model_name="tiny"}') == 42
    assert "# TYPE vllm:num_requests_running gauge" in text
    assert "latency" not in text
    assert "vllm:generation_tokens_created" not in text
