"""`/metrics` and `metrics.read`: who may read them, and that the numbers are true."""

import os
import signal
from collections.abc import Iterator

import pytest

from meshd.services.record_rows import Kind
from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.scrape import page, scrape
from tests.support.wait import until

CALL = {"name": "echo", "arguments": {}}


@pytest.fixture(scope="module")
def furnished() -> Iterator[Daemon]:
    """A daemon that serves one server, and asks scrapers for a key."""
    made = Daemon.fresh().start()
    made.connect("clock", *stdio_server.command())
    yield made
    made.remove()


@pytest.fixture(scope="module")
def scraper(furnished: Daemon) -> str:
    return furnished.add_key("scraper", "self/metrics.read")


def outcomes(daemon: Daemon, key: str) -> dict[str, float]:
    """Calls of `clock`, those that there were."""
    counts = scrape(daemon, key).of("meshd_calls_total")
    return {kind: n for (name, _, kind), n in counts.items() if name == "clock" and n}


def test_calls_are_counted_by_how_they_went(furnished: Daemon, scraper: str) -> None:
    """A call that was answered is in the next scrape; each is timed once."""
    key = furnished.add_key("caller", "clock/echo", "clock/fail", "clock/nothing")
    for tool in ("echo", "echo", "fail", "nothing", "write"):
        assert (
            furnished.rpc("clock", "tools/call", {"name": tool, "arguments": {}}, key=key).status
            == 200
        )
    expected: dict[Kind, int] = {"ok": 2, "tool_error": 1, "refused": 1, "denied": 1}
    assert outcomes(furnished, scraper) == expected
    found = scrape(furnished, scraper)
    at = {"org": "default", "connection": "clock"}
    assert found.types["meshd_call_duration_seconds"] == "histogram"
    assert found.one("meshd_call_duration_seconds_count", **at) == 5
    assert found.one("meshd_call_duration_seconds_bucket", **at, le="+Inf") == 5
    stages = found.of("meshd_call_stage_seconds_total")
    total = found.one("meshd_call_duration_seconds_sum", **at)
    assert 0 < total == pytest.approx(sum(stages.values()))
    assert found.one("meshd_records_written_total") >= 5
    assert found.one("meshd_records_dropped_total") == 0


def test_the_rest_of_the_house_is_in_it(furnished: Daemon, scraper: str) -> None:
    found = scrape(furnished, scraper)
    assert found.one("meshd_vault_locked") == 0
    assert found.one("meshd_database_up") == 1
    assert found.one("meshd_connections", state="ready") == 1
    assert found.one("meshd_children", state="running") == 1
    assert found.one("meshd_http_connections", door="tcp") >= 1
    assert found.one("meshd_http_requests", door="tcp") >= 1, "this very request"
    assert found.one("process_resident_memory_bytes") > 10_000_000
    assert found.one("process_cpu_seconds_total") > 0
    assert 10 < found.one("process_open_fds") < found.one("process_max_fds")
    assert found.one("meshd_uptime_seconds") > 0
    published = found.one("meshd_events_published_total")
    furnished.control("POST", "/v1/events", {"type": "order.made", "data": 1})
    assert scrape(furnished, scraper).one("meshd_events_published_total") == published + 1


def test_a_server_that_cannot_be_reached_is_counted(furnished: Daemon, scraper: str) -> None:
    """And gone from the page once its connection is."""
    furnished.connect_http("gone", "http://127.0.0.1:9/")
    at = {"org": "default", "connection": "gone"}
    before = scrape(furnished, scraper).one("meshd_upstream_failures_total", **at)
    assert furnished.ask("POST", "/v1/connections/gone/tools/x/call", {}).status == 502
    found = scrape(furnished, scraper)
    assert found.one("meshd_upstream_failures_total", **at) > before
    assert found.one("meshd_connections", state="failing") == 1
    assert found.of("meshd_calls_total")["gone", "default", "failed"] == 1
    furnished.control("DELETE", "/v1/connections/gone")
    left = scrape(furnished, scraper)
    for name in ("meshd_upstream_failures_total", "meshd_calls_total"):
        assert "gone" not in {label for labels in left.of(name) for label in labels}


def test_no_caller_and_no_tool_is_named(furnished: Daemon, scraper: str) -> None:
    key = furnished.add_key("canary-caller", "clock")
    furnished.rpc("clock", "tools/call", {"name": "canary-tool", "arguments": {}}, key=key)
    text = furnished.tcp("GET", "/metrics", key=scraper).body.decode()
    assert "canary" not in text


def test_the_call_gives_the_same_numbers(furnished: Daemon, scraper: str) -> None:
    """On the socket, under /v1, and as a tool of `self`."""
    told = {one["name"]: one for one in furnished.control("GET", "/v1/metrics")}
    assert set(told) >= {"meshd_calls_total", "process_open_fds"}
    over_tcp = furnished.tcp("GET", "/v1/metrics", key=scraper).json()
    assert {one["name"] for one in over_tcp} == set(told)
    tool = furnished.rpc("self", "tools/call", {"name": "METRICS_READ"}, key=scraper).json()
    listed = tool["result"]["structuredContent"]["result"]
    assert {one["name"]: one["type"] for one in listed} == {
        n: one["type"] for n, one in told.items()
    }


@pytest.mark.parametrize(
    ("allow", "more", "status"),
    [
        (["self/metrics.read"], {}, 200),
        (["self/metrics.read"], {"read_only": True}, 200),
        (["self"], {}, 200),
        (["*"], {}, 403),
        (["self/call.*"], {}, 403),
        ([], {"role": "admin"}, 403),
    ],
)
def test_a_key_needs_the_grant_itself(furnished: Daemon, allow, more, status: int) -> None:
    """A role is held in an org, and these numbers are of all of them."""
    name = f"k{len(furnished.control('GET', '/v1/keys'))}"
    key = furnished.add_key(name, *allow, **more)
    assert furnished.tcp("GET", "/metrics", key=key).status == status
    assert furnished.tcp("GET", "/v1/metrics", key=key).status == status
    if status == 403:
        error = furnished.tcp("GET", "/metrics", key=key).json()["error"]
        assert error["next"] == f"meshctl key edit {name} --allow self/metrics.read"


def test_without_a_key_it_is_closed_to_this_machine_too(furnished: Daemon) -> None:
    answer = furnished.tcp("GET", "/metrics")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="meshctl"')


def test_it_can_only_be_read(furnished: Daemon, scraper: str) -> None:
    assert furnished.tcp("POST", "/metrics", key=scraper).status == 405
    head = furnished.tcp("HEAD", "/metrics", key=scraper)
    assert (head.status, head.body) == (200, b"")


FORWARDED = [
    {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}, {"X-Real-IP": "127.0.0.1"}, {"Via": "1.1 x"},
    {"x-forwarded-proto": "https"},
]  # fmt: skip


def test_who_may_scrape_is_a_live_setting() -> None:
    """Loopback lets in what comes straight from this machine; open everybody; off nobody."""
    home = Daemon.fresh()

    def allow(access: str, **more: str) -> None:
        settings = {"metrics_access": access, "allowed_hosts": "mesh.example", **more}
        (home.home / "config.json").write_text(str(settings).replace("'", '"'))
        os.kill(home.pid, signal.SIGHUP)
        until(lambda: shown(home) == (access, more.get("trusted_proxies", "")))

    def without_key(**headers: str) -> int:
        return home.tcp("GET", "/metrics", **headers).status

    try:
        home.start()
        key = home.add_key("scraper", "self/metrics.read")
        nothing = home.tcp("GET", "/no-such-page")
        allow("loopback")
        assert without_key() == 200
        assert (
            without_key(Host=home.url.removeprefix("http://").replace("127.0.0.1", "localhost"))
            == 200
        )
        assert [without_key(**one) for one in FORWARDED] == [401] * len(FORWARDED)
        assert without_key(Host="mesh.example") == 401
        assert home.tcp("GET", "/metrics", key=key, Host="mesh.example").status == 200
        assert home.tcp("GET", "/v1/metrics").status == 401, "the page alone is open"
        allow("loopback", trusted_proxies="127.0.0.1")
        assert without_key() == 401
        allow("open", trusted_proxies="127.0.0.1")
        assert without_key(**FORWARDED[0], Host="mesh.example") == 200
        assert without_key(Host="evil.example") == 421
        allow("off")
        for given in (None, key):
            answer = home.tcp("GET", "/metrics", key=given)
            assert (answer.status, answer.body) == (404, nothing.body)
        assert home.control("GET", "/v1/metrics"), "the owner reads them all the same"
    finally:
        home.remove()


def shown(home: Daemon) -> tuple[str, str]:
    """The settings in force that decide it."""
    rows = {row["name"]: row["value"] for row in home.control("GET", "/v1/daemon")["settings"]}
    return rows["METRICS_ACCESS"], rows["TRUSTED_PROXIES"]


def test_a_locked_daemon_says_so_to_who_needs_no_key() -> None:
    home = Daemon.fresh()
    try:
        home.start()
        key = home.add_key("scraper", "self/metrics.read")
        home.stop()
        (home.home / "keys" / "master.key").unlink()
        home.start()
        answer = home.tcp("GET", "/metrics", key=key)
        assert (answer.status, answer.json()["error"]["code"]) == (503, "locked")
        told = {one["name"]: one["samples"] for one in home.control("GET", "/v1/metrics")}
        assert told["meshd_vault_locked"][0]["value"] == 1
        home.stop()
        home.env["METRICS_ACCESS"] = "loopback"
        home.start()
        assert page(home.tcp("GET", "/metrics").body.decode()).one("meshd_vault_locked") == 1
    finally:
        home.remove()
