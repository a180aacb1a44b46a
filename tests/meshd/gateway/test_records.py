"""Call records: one for each tool call, true, redacted, cut, there at once, and followed by cursor."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import fault, stdio_server
from tests.support.daemon import Daemon
from tests.support.upstream import Upstream, json_body, upstream
from tests.support.wait import until

CANARY = "canary-hunter2"
KEPT = 16 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, server: Upstream) -> str:
    """A key for a connection of each transport, but not for `write`."""
    shared_daemon.connect("stdio", *stdio_server.command())
    shared_daemon.connect_http("http", server.url)
    return shared_daemon.add_key("client", "stdio/echo", "stdio/fail", "stdio/gather", "http/echo")


def call(daemon: Daemon, key: str, connection: str, name: str, **arguments: Any) -> Any:
    """A tool call's answer."""
    params = {"name": name, "arguments": arguments}
    return daemon.rpc(connection, "tools/call", params, key=key).json()


def latest(daemon: Daemon, count: int = 1) -> list[dict[str, Any]]:
    """The newest records."""
    found = daemon.control("GET", f"/v1/calls?limit={count}")
    assert isinstance(found, list)
    return found


def detail(daemon: Daemon) -> dict[str, Any]:
    """The newest record, whole."""
    found = daemon.control("GET", f"/v1/calls/{latest(daemon)[0]['id']}")
    assert isinstance(found, dict)
    return found


def cursor(daemon: Daemon) -> int:
    """The `seq` of the newest record; 0 where there is none."""
    rows = latest(daemon)
    return int(rows[0]["seq"]) if rows else 0


def test_each_call_leaves_one_record(shared_daemon: Daemon, server: Upstream, key: str) -> None:
    """Done, failed in the tool, refused by the server, denied, and broken; nothing else does."""
    before = cursor(shared_daemon)
    call(shared_daemon, key, "stdio", "echo")
    call(shared_daemon, key, "stdio", "fail")
    call(shared_daemon, key, "stdio", "write")
    call(shared_daemon, key, "http", "echo")
    fine, server.replies["tools/call"] = server.replies["tools/call"], fault.reset
    call(shared_daemon, key, "http", "echo")
    server.replies["tools/call"] = fine
    for method in ("initialize", "tools/list", "ping", "resources/list"):
        shared_daemon.rpc("stdio", method, key=key)
    rows = [row for row in reversed(latest(shared_daemon, 20)) if row["seq"] > before]
    assert [(r["connection"], r["tool"], r["ok"], r["principal"]) for r in rows] == [
        ("stdio", "echo", True, "client"),
        ("stdio", "fail", False, "client"),
        ("stdio", "write", False, "client"),
        ("http", "echo", True, "client"),
        ("http", "echo", False, "client"),
    ]
    errors = [row["error"] for row in rows]
    assert errors[0] is errors[3] is None
    assert errors[1] == "the tool failed"
    assert errors[2] == "denied: no grant of client covers tool write"
    assert "cannot be reached" in errors[4]


@pytest.mark.parametrize("connection", ["stdio", "http"])
def test_the_stages_add_up(shared_daemon: Daemon, key: str, connection: str) -> None:
    """To the duration, and a part of it was the upstream's."""
    call(shared_daemon, key, connection, "echo")
    found = detail(shared_daemon)
    assert sum(found["stages"].values()) == pytest.approx(found["duration_ms"], abs=0.001)
    assert all(part >= 0 for part in found["stages"].values())
    assert 0 < found["stages"]["upstream"] <= found["duration_ms"]


def test_a_call_of_an_operator_leaves_one_too(shared_daemon: Daemon, key: str) -> None:
    """And its answer names it."""
    path = "/v1/connections/stdio/tools/echo/call"
    made = shared_daemon.control("POST", path, {"arguments": {"x": 1}})
    assert latest(shared_daemon)[0]["id"] == made["call_id"]


def test_a_call_that_was_answered_is_in_the_list(shared_daemon: Daemon, key: str) -> None:
    """At once, each of a hundred times, and once."""
    for number in range(100):
        call(shared_daemon, key, "stdio", "echo", number=number)
        assert detail(shared_daemon)["arguments"] == {"number": number}
    numbers = {row["id"] for row in latest(shared_daemon, 100)}
    assert len(numbers) == 100


@contextmanager
def bodies(daemon: Daemon, mode: str) -> Iterator[None]:
    """What is kept of bodies, for a while."""
    for kind, name in (("stdio-", "stdio"), ("", "http")):
        daemon.control("PATCH", f"/v1/{kind}connections/{name}", {"bodies": mode})
    yield
    for kind, name in (("stdio-", "stdio"), ("", "http")):
        daemon.control("PATCH", f"/v1/{kind}connections/{name}", {"bodies": "redacted"})


def secret_call(daemon: Daemon, server: Upstream, key: str, canary: str = CANARY) -> dict[str, Any]:
    """A call with secrets in its arguments and in its result; its record."""
    structured = {"token": f"{canary}-result", "note": "plain"}
    done = {"jsonrpc": "2.0", "id": 1, "result": {"content": [], "structuredContent": structured}}
    fine, server.replies["tools/call"] = (
        server.replies["tools/call"], json_body(json.dumps(done).encode()),
    )  # fmt: skip
    answer = call(
        daemon, key, "http", "echo", user="ada", password=canary,
        deep=[{"api_key": canary, "text": f"mshs_{'A' * 46} https://u:{canary}@h/"}],
    )  # fmt: skip
    server.replies["tools/call"] = fine
    assert answer == done, "the client gets its answer whole"
    return detail(daemon)


def test_secrets_are_redacted_in_records(shared_daemon: Daemon, server: Upstream, key: str) -> None:
    """By the names they go under, and by their shapes; the rest stays readable."""
    found = secret_call(shared_daemon, server, key)
    assert found["arguments"]["user"] == "ada"
    assert found["arguments"]["password"] == "***"
    assert found["result"]["structuredContent"] == {"token": "***", "note": "plain"}
    assert CANARY not in json.dumps(found)
    assert f"mshs_{'A' * 46}" not in json.dumps(found)
    assert CANARY.encode() not in files_of(shared_daemon, "calls.db")


def test_bodies_off_keeps_none(shared_daemon: Daemon, server: Upstream, key: str) -> None:
    """The record stays."""
    with bodies(shared_daemon, "off"):
        found = secret_call(shared_daemon, server, key)
    assert (found["arguments"], found["result"], found["ok"]) == (None, None, True)
    assert CANARY.encode() not in files_of(shared_daemon, "calls.db")


def test_bodies_full_keeps_all(shared_daemon: Daemon, server: Upstream, key: str) -> None:
    """Where an operator asked for it; which also shows that the other two tests look right."""
    with bodies(shared_daemon, "full"):
        found = secret_call(shared_daemon, server, key, "wanted-in-full")
    assert found["arguments"]["password"] == "wanted-in-full"
    assert b"wanted-in-full-result" in files_of(shared_daemon, "calls.db")


def files_of(daemon: Daemon, name: str) -> bytes:
    """The database's file with its log."""
    return b"".join(path.read_bytes() for path in (daemon.home / "data").glob(f"{name}*"))


@pytest.mark.parametrize("mode", ["redacted", "full"])
def test_long_bodies_are_cut(shared_daemon: Daemon, key: str, mode: str) -> None:
    """At 16 KiB, and the record says so; the caller's answer is whole."""
    long = "x" * (KEPT + 1000)
    with bodies(shared_daemon, mode):
        answer = call(shared_daemon, key, "stdio", "echo", text=long)
        assert answer["result"]["structuredContent"]["value"] == {"text": long}
        found = detail(shared_daemon)
        assert found["cut"] is True
        assert len(found["arguments"]) == KEPT
        assert found["arguments"].startswith('{"text":')
        assert found["arguments"].endswith("xxx")
        call(shared_daemon, key, "stdio", "echo", text="short")
        assert detail(shared_daemon)["cut"] is False


def test_the_list_can_be_narrowed(shared_daemon: Daemon, key: str) -> None:
    """To a connection, and to what failed."""
    call(shared_daemon, key, "stdio", "fail")
    call(shared_daemon, key, "http", "echo")
    found = shared_daemon.control("GET", "/v1/calls?connection=http")
    assert {row["connection"] for row in found} == {"http"}
    found = shared_daemon.control("GET", "/v1/calls?failed=true")
    assert {row["ok"] for row in found} == {False}
    assert shared_daemon.ask("GET", "/v1/calls?limit=0").status == 400
    assert shared_daemon.ask("GET", "/v1/calls/call_nothing").status == 404


def test_a_tail_goes_on_where_it_was_cut(shared_daemon: Daemon, key: str) -> None:
    """No record twice, none lost, in order."""
    before = cursor(shared_daemon)
    for number in range(5):
        call(shared_daemon, key, "stdio", "echo", number=number)
    latest(shared_daemon)  # settled

    def tail(after: int, limit: int) -> list[int]:
        path = f"/v1/tail/calls?follow=false&after={after}&limit={limit}"
        lines = shared_daemon.ask("GET", path).body.splitlines()
        return [json.loads(line)["seq"] for line in lines if line]

    first = tail(before, 2)
    rest = tail(first[-1], 10)
    assert first + rest == list(range(before + 1, before + 6))
    assert tail(rest[-1], 10) == []


def test_a_tail_follows(shared_daemon: Daemon, key: str) -> None:
    """A call shows up while the stream is open."""
    wire = socket.socket(socket.AF_UNIX)
    wire.settimeout(10)
    with wire:
        wire.connect(shared_daemon.socket)
        path = f"/v1/tail/calls?after={cursor(shared_daemon)}"
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: meshd\r\n\r\n".encode())
        call(shared_daemon, key, "stdio", "echo", mark="followed")
        with http.client.HTTPResponse(wire) as response:
            response.begin()
            line = until(lambda: response.readline().strip())
    assert json.loads(line)["id"] == latest(shared_daemon)[0]["id"]
