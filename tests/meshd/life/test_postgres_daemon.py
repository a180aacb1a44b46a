"""Real daemons on a real Postgres: one alone, and two homes that share one database."""

import http.client
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from meshd.vault.master import load_or_create
from tests.support import stdio_server
from tests.support.daemon import Daemon, _UnixConnection
from tests.support.postgres import Postgres, with_options
from tests.support.starting import refuse
from tests.support.wait import until

Pair = tuple[Daemon, Daemon]
PASSWORD = "hunter2canary"
NOWHERE = "postgres://ada:hunter2canary@127.0.0.1:1/mesh"


def home(dsn: str, key: Path | None = None) -> Daemon:
    """A home on a database; with a copy of the master key that it shares with others."""
    made = Daemon.fresh(
        DATABASE_URL=with_options(dsn, password=PASSWORD), MESHCTL_LOG_LEVEL="debug"
    )
    if key is not None:
        shutil.copytree(key.parent, made.home / "keys")
    return made


@pytest.fixture(scope="module")
def pair(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two daemons that share everything but their homes, and began at the same time."""
    key = tmp_path_factory.mktemp("shared") / "keys" / "master.key"
    load_or_create(key)
    with postgres.schema() as dsn, ExitStack() as stack:
        first, second = home(dsn, key), home(dsn, key)
        for one in (first, second):
            stack.callback(one.remove)
        together = threading.Thread(target=second.start)
        together.start()
        first.start(program=True)  # its arguments are looked at
        together.join()
        yield first, second


@contextmanager
def following(daemon: Daemon, what: str) -> Iterator[http.client.HTTPResponse]:
    """A tail that is open and has told everything there was."""
    link = _UnixConnection(daemon.socket)
    try:
        link.request("GET", f"/v1/tail/{what}?follow=true")
        yield link.getresponse()
    finally:
        link.close()


def first_line(stream: http.client.HTTPResponse) -> dict[str, object]:
    """What comes next; empty lines only say that the tail lives."""
    while not (line := stream.readline().strip()):
        pass
    found: dict[str, object] = json.loads(line)
    return found


def call(daemon: Daemon, key: str, connection: str = "shared") -> int:
    """The status of a call of a tool."""
    params = {"name": "echo", "arguments": {"value": "x"}}
    return daemon.rpc(connection, "tools/call", params, key=key).status


def test_what_one_makes_the_other_serves_until_it_is_revoked(pair: Pair) -> None:
    """Connection, key, call, record and revocation, from either side."""
    first, second = pair
    first.connect("shared", *stdio_server.command(), env={"CANARY": "x"})
    key = first.add_key("laptop", "shared")
    until(lambda: call(second, key) == 200)
    until(lambda: [row["tool"] for row in first.control("GET", "/v1/calls")] == ["echo"])
    listed = [daemon.control("GET", "/v1/connections/shared")["tools"] for daemon in pair]
    assert listed[0] == listed[1] > 0
    org = [daemon.control("GET", "/v1/status")["org"]["id"] for daemon in pair]
    assert org[0] == org[1]
    second.control("DELETE", "/v1/keys/laptop")
    until(lambda: call(first, key) == 401)
    (child,) = second.control("GET", "/v1/daemon")["children"]
    assert child["state"] == "running"
    first.control("DELETE", "/v1/connections/shared")
    until(lambda: not second.control("GET", "/v1/daemon")["children"])


def test_a_tail_shows_at_once_what_the_other_daemon_wrote(pair: Pair) -> None:
    first, second = pair
    second.connect("tailed", *stdio_server.command())
    key = first.add_key("tailing", "tailed")
    until(lambda: call(second, key, "tailed") == 200)
    with following(first, "events") as events, following(first, "calls") as calls:
        second.add_key("seen")
        assert first_line(events)["type"] == "mesh.key.added"
        assert call(second, key, "tailed") == 200
        assert first_line(calls)["connection"] == "tailed"


def test_a_session_belongs_to_its_daemon(pair: Pair) -> None:
    """Another one answers 404, and the client begins anew there; a restart changes nothing."""
    first, second = pair
    first.connect("sessions", *stdio_server.command())
    key = first.add_key("client", "sessions")
    until(lambda: second.rpc("sessions", "ping", key=key).status != 401)
    sessions = []
    for daemon in pair:
        asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}}
        asked["clientInfo"] = {"name": "c", "version": "1"}
        began = daemon.rpc("sessions", "initialize", asked, key=key)
        sessions.append(began.headers["mcp-session-id"])
    mine, other = sessions

    def ping(session: str) -> int:
        return second.rpc("sessions", "ping", key=key, session=session).status

    assert (ping(other), ping(mine)) == (200, 404)
    second.stop()
    second.start()
    assert (ping(other), ping(mine)) == (200, 404)


def test_the_port_is_remembered_by_the_home_and_not_by_the_database(
    pair: Pair,
) -> None:
    told = [json.loads((d.home / "run" / "daemon.json").read_text()) for d in pair]
    assert [f"http://127.0.0.1:{one['port']}" for one in told] == [d.url for d in pair]
    assert told[0]["daemon"] != told[1]["daemon"]


def test_the_password_is_nowhere(pair: Pair) -> None:
    """Not in the log at its finest, in what settings show, in arguments or in what children get."""
    first, _ = pair
    first.connect("nosy", *stdio_server.command())
    texts = [
        (first.home / "logs" / "meshd.log").read_text(),
        json.dumps(first.control("GET", "/v1/daemon")),
        Path(f"/proc/{first.pid}/cmdline").read_text() if sys.platform == "linux" else "",
    ]
    children = [child["pid"] for child in first.control("GET", "/v1/daemon")["children"]]
    if sys.platform == "linux":
        texts += [Path(f"/proc/{pid}/environ").read_text() for pid in children if pid]
    assert "password=***" in texts[1]
    assert [PASSWORD in text for text in texts] == [False] * len(texts)


@pytest.mark.parametrize(
    ("key", "said"),
    [(None, "There is no file"), ("other", "is not the one that the data is sealed with")],
)
def test_a_home_without_the_right_key_is_locked(pair: Pair, key: str | None, said: str) -> None:
    """And says what it needs; with the right one it is the same house."""
    third = Daemon.fresh(DATABASE_URL=pair[0].env["DATABASE_URL"])
    try:
        if key:
            load_or_create(third.home / "keys" / "master.key")
        third.start()
        vault = third.control("GET", "/v1/vault")
        assert vault["state"] == "locked"
        assert said in vault["reason"]
        assert vault["needed"] == pair[0].control("GET", "/v1/vault")["key_id"]
        assert (third.home / "keys").exists() == bool(key), "no key is made that opens nothing"
        right = (pair[0].home / "keys" / "master.key").read_text()
        opened = third.control("POST", "/v1/vault/unlock", {"key": right})
        assert opened["state"] == "open"
    finally:
        third.remove()


@pytest.mark.parametrize("url", [NOWHERE, f"{NOWHERE}?sslmode=nonsense"])
def test_a_server_that_is_not_there_ends_the_start(url: str) -> None:
    """With what is wrong and where to look, and without the password."""
    alone = Daemon.fresh(DATABASE_URL=url)
    try:
        refused = refuse(alone, "--port", "0")
        assert refused.code == 8
        assert "Postgres cannot be used" in refused.stderr
        assert "postgres://ada:***@127.0.0.1:1/mesh" in refused.stderr
        assert "next: meshctl config list" in refused.stderr
        assert refused.told["error"]["code"] == "unavailable"
        log = (alone.home / "logs" / "meshd.log").read_text()
        for text in (refused.stderr, str(refused.told), log):
            assert PASSWORD not in text
            assert "Traceback" not in text
    finally:
        alone.remove()


def test_a_server_that_goes_away_and_comes_back(postgres: Postgres) -> None:
    """Typed answers meanwhile, never a 401 for a key that is valid; then all is as before."""
    role = f"role_{uuid4().hex[:12]}"
    postgres.execute(f"CREATE ROLE {role} LOGIN")
    with postgres.schema() as dsn, ExitStack() as stack:
        schema = dsn.rpartition("application_name=")[2]
        stack.callback(postgres.execute, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
        postgres.execute(f"GRANT ALL ON SCHEMA {schema} TO {role}")
        daemon = home(with_options(dsn, user=role))
        stack.callback(daemon.remove)
        daemon.start()
        key = daemon.add_key("laptop")
        assert daemon.tcp("GET", "/ready").status == 200

        postgres.execute(
            f"ALTER ROLE {role} NOLOGIN;"
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
        )
        until(lambda: daemon.tcp("GET", "/ready").status == 503)
        assert daemon.tcp("GET", "/health").status == 200
        for answer in (
            daemon.ask("POST", "/v1/keys", {"name": "x"}),
            daemon.ask("GET", "/v1/status"),
        ):
            assert (answer.status, answer.json()["error"]["code"]) == (503, "unavailable")
        assert daemon.rpc("nothing", "ping", key=key).status == 404, "401 would be a lost key"

        postgres.execute(f"ALTER ROLE {role} LOGIN")
        until(lambda: daemon.tcp("GET", "/ready").status == 200)
        daemon.add_key("after")
        assert daemon.ask("GET", "/v1/status").status == 200
