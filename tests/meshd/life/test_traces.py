"""Traces of calls: what a collector gets, and that nobody waits for one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import stdio_server
from tests.support.collector import Collector, collecting
from tests.support.daemon import Daemon
from tests.support.scrape import page
from tests.support.starting import refuse
from tests.support.upstream import upstream
from tests.support.wait import until

CANARY = "canary-argument-5a1e"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture
def home(collector: Collector) -> Iterator[Daemon]:
    """A home whose daemon would send traces to the collector."""
    made = Daemon.fresh(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_HEADERS="x-tenant=canary%20tenant",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
        METRICS_ACCESS="loopback",
    )
    yield made
    made.remove()


def call(home: Daemon, key: str, tool: str, **headers: str) -> None:
    params = {"name": tool, "arguments": {"text": CANARY}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    accept = {"Accept": "application/json, text/event-stream"}
    assert home.tcp("POST", "/mcp/clock", body, key=key, **accept, **headers).status == 200


def counts(home: Daemon) -> dict[tuple[str, ...], float]:
    return page(home.tcp("GET", "/metrics").body.decode()).of("meshd_spans_total")


def test_each_call_leaves_a_span(home: Daemon, collector: Collector) -> None:
    """With the caller's parent where one was named, and without a word of what was said."""
    home.start()
    home.connect("clock", *stdio_server.command())
    key = home.add_key("caller", "clock/echo", "clock/fail")
    call(home, key, "echo", traceparent=PARENT)
    call(home, key, "fail", traceparent="nonsense")
    call(home, key, "write")
    call(home, key, "echo", traceparent=PARENT[:-1] + "0")
    plain = "/mcp/clock/call-tool/echo"
    assert home.tcp("POST", plain, {"text": CANARY}, key=key, traceparent=PARENT).status == 200
    until(lambda: len(collector.spans) == 4)
    first, failed, denied, last = collector.spans
    assert first.span.name == last.span.name == "tools/call echo"
    for got in (first, last):
        assert (got.span.trace_id.hex(), got.span.parent_span_id.hex()) == (TRACE, SPAN)
    assert first.span.status.code == 0
    assert 0 < first.span.end_time_unix_nano - first.span.start_time_unix_nano < 60e9
    assert (failed.span.parent_span_id, failed.span.status.code) == (b"", 2)
    assert failed.span.trace_id != denied.span.trace_id
    assert [one.attributes.get("error.type") for one in collector.spans] == [
        None,
        "tool_error",
        "denied",
        None,
    ]
    row = home.control("GET", "/v1/calls")[-1]
    expected = {
        "mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "echo",
        "meshctl.call.id": row["id"], "meshctl.connection.name": "clock",
    }  # fmt: skip
    assert {name: first.attributes[name] for name in expected} == expected
    assert first.resource["service.name"] == "meshd"
    assert first.resource["deployment.environment"] == "test"
    path, headers = collector.requests[0]
    assert (path, headers["x-tenant"]) == ("/v1/traces", "canary tenant")
    assert CANARY not in str([one.span for one in collector.spans])
    until(lambda: counts(home)["exported",] == 4)


def test_a_parent_is_not_sent_on(home: Daemon) -> None:
    """An upstream learns nothing of the caller."""
    with upstream() as server:
        home.start()
        home.connect_http("clock", server.url)
        key = home.add_key("caller")
        call(home, key, "add", traceparent=PARENT, tracestate="a=b", baggage="c=d")
        (seen,) = server.of("tools/call")
        names = {name.lower() for name, _ in seen.headers}
        assert names.isdisjoint({"traceparent", "tracestate", "baggage"})
        assert TRACE.encode() not in seen.body


def test_a_collector_that_refuses_costs_spans_and_nothing_else(
    home: Daemon, collector: Collector
) -> None:
    """And the daemon ends at once, whatever hangs there."""
    collector.status = 400
    home.start()
    home.connect("clock", *stdio_server.command())
    key = home.add_key("caller")
    for _ in range(3):
        call(home, key, "echo")
    until(lambda: counts(home)["failed",] == 3)
    assert "the collector does not take traces" in (home.home / "logs/meshd.log").read_text()
    collector.status = 200
    call(home, key, "echo")
    until(lambda: len(collector.spans) == 1)
    assert home.stop() == 0


def test_a_collector_that_is_down_keeps_nobody_waiting(home: Daemon) -> None:
    home.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    home.start()
    home.connect("clock", *stdio_server.command())
    key = home.add_key("caller")
    call(home, key, "echo")
    assert home.control("GET", "/v1/calls")[0]["ok"]
    assert home.stop() == 0


@pytest.mark.parametrize(
    ("more", "spans"),
    [({"OTEL_TRACES_SAMPLER": "always_off"}, 0), ({"OTEL_SDK_DISABLED": "true"}, None)],
)
def test_traces_that_nobody_wants_are_not_made(
    home: Daemon, collector: Collector, more, spans
) -> None:
    home.env.update(more)
    home.start()
    home.connect("clock", *stdio_server.command())
    call(home, home.add_key("caller"), "echo", traceparent=PARENT)
    assert home.control("GET", "/v1/calls")[0]["ok"]
    assert set(counts(home).values()) == (set() if spans is None else {0.0})
    assert home.stop() == 0
    assert collector.requests == []


def test_without_the_extra_the_start_is_refused(home: Daemon, tmp_path: Path) -> None:
    """With the command that installs it."""
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ImportError('not installed')\n")
    home.env["PYTHONPATH"] = str(tmp_path)
    refused = refuse(home, "--port", "0")
    assert refused.code == 2
    assert refused.told["error"]["next"] == "pip install 'meshctl[otlp]'"
    assert json.dumps(refused.told) != ""
    assert "canary" not in refused.stderr


def test_no_child_inherits_the_headers(home: Daemon) -> None:
    home.start()
    made = home.connect("clock", *stdio_server.command())
    assert made["state"] == "ready"
    (child,) = home.control("GET", "/v1/daemon")["children"]
    from tests.support.processes import shown

    assert "canary" not in str(shown()[child["pid"]])
