"""An acknowledgement means that it is on the disk, as the system calls show."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.strace import answered, calls, synced, traced


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the system calls are written."""
    return tmp_path_factory.mktemp("trace") / "calls"


@pytest.fixture(scope="module")
def watched(trace: Path) -> Iterator[Daemon]:
    """A daemon under strace, with a connection."""
    made = Daemon.fresh().start(prefix=traced(trace))
    made.connect("stand-in", *stdio_server.command())
    yield made
    made.remove()


def wal(daemon: Daemon, name: str) -> Path:
    """The write-ahead log of a database."""
    return daemon.home.resolve() / "data" / f"{name}.db-wal"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/keys", {"name": "{name}"}),
        ("PATCH", "/v1/keys/{name}", {"allow": ["stand-in"]}),
        ("POST", "/v1/keys/{name}/rotate", None),
        ("DELETE", "/v1/keys/{name}", None),
        ("POST", "/v1/connections/{name}/disable", None),
        ("DELETE", "/v1/connections/{name}", None),
    ],
)
def test_a_promise_is_synced_before_it_is_answered(
    watched: Daemon, trace: Path, method: str, path: str, body: dict[str, object] | None
) -> None:
    """Between the arrival of the request and the first byte of its answer."""
    name = f"synced-{secrets.token_hex(4)}"
    if "/connections/" in path:
        watched.connect(name, *stdio_server.command())
    elif "{name}" in path:
        watched.add_key(name)
    asked = {k: name if v == "{name}" else v for k, v in body.items()} if body else None
    watched.control(method, path.format(name=name), asked)
    found = calls(trace)
    mark = name if path == "/v1/keys" else f"{method} {path.format(name=name)} "
    arrival, answer = answered(found, mark)
    assert synced(found[arrival:answer], wal(watched, "mesh"))


def test_a_call_record_is_not_synced(watched: Daemon, trace: Path) -> None:
    """Nothing waits for the log; so this test can tell a synced answer from another."""
    watched.connect("recorded", *stdio_server.command())
    key = watched.add_key("client")
    params = {"name": "echo", "arguments": {"mark": "unsynced-call"}}
    watched.rpc("recorded", "tools/call", params, key=key)
    assert len(watched.control("GET", "/v1/calls")) == 1, "the record is in the database"
    found = calls(trace)
    arrival, answer = answered(found, "unsynced-call")
    assert not synced(found[arrival:], wal(watched, "calls"))
    assert not synced(found[arrival:answer], wal(watched, "mesh"))
