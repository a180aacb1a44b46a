"""A database that somebody wrote to while the daemon was stopped: what was moved does not open.

The others are served as before. What was put back whole to an older state cannot be seen.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command import meshctl
from tests.support.daemon import Daemon
from tests.support.upstream import Upstream, upstream
from tests.support.wait import until

ONE, TWO, MORE = "canary-one-51a3", "canary-two-7bd0", "canary-more-e21f"
SECRETS = (ONE, TWO, MORE)

Db = sqlite3.Connection


def database(home: Daemon) -> Db:
    return sqlite3.connect(home.home / "data" / "mesh.db")


def edit(home: Daemon, *changes: Callable[[Db], object]) -> None:
    """What an attacker with the file may do to it."""
    with closing(database(home)) as db:
        for change in changes:
            change(db)
        db.commit()


def blob(db: Db, connection: str, name: str) -> bytes:
    asked = (
        "SELECT blob FROM credentials JOIN connections ON id = connection_id"
        " WHERE connections.name = ? AND credentials.name = ?"
    )
    return bytes(db.execute(asked, (connection, name)).fetchone()[0])


def put(db: Db, connection: str, column: str, value: object) -> None:
    """Write one column of the credential X-A of a connection."""
    db.execute(
        f"UPDATE credentials SET {column} = ? WHERE name = 'X-A' AND connection_id ="
        " (SELECT id FROM connections WHERE name = ?)",
        (value, connection),
    )


def flip(at: int) -> Callable[[Db, str], object]:
    def change(db: Db, mine: str) -> None:
        raw = bytearray(blob(db, mine, "X-A"))
        raw[at] ^= 0x10
        put(db, mine, "blob", bytes(raw))

    return change


def cut(size: int) -> Callable[[Db, str], object]:
    return lambda db, mine: put(db, mine, "blob", blob(db, mine, "X-A")[:size])


CHANGES: dict[str, Callable[[Db, str], object]] = {
    "other-row": lambda db, mine: put(db, mine, "blob", blob(db, "two", "X-A")),
    "other-field": lambda db, mine: put(db, mine, "blob", blob(db, mine, "X-B")),
    "other-name": lambda db, mine: put(db, mine, "name", "X-C"),
    "other-kind": lambda db, mine: put(db, mine, "kind", "url"),
    "format": flip(0),
    "algorithm": flip(1),
    "key-id": flip(2),
    "nonce": flip(10),
    "ciphertext": flip(30),
    "tag": flip(-1),
    "empty": cut(0),
    "half": cut(40),
    "short": cut(-1),
    "text": lambda db, mine: put(db, mine, "blob", "no bytes"),
    "number": lambda db, mine: put(db, mine, "blob", 1 << 40),
}
"""Each is done to the connection of its name."""


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def tampered(server: Upstream) -> Iterator[Daemon]:
    """A daemon that runs again after every change was made to a connection of its own."""
    made = Daemon.fresh().start()
    for name in CHANGES:
        made.connect_http(name, server.url, **{"X-A": ONE, "X-B": MORE})
    furnish(made, server)
    made.stop()
    edit(made, *(lambda db, n=name, c=change: c(db, n) for name, change in CHANGES.items()))
    server.seen.clear()
    made.start()
    yield made
    made.remove()


@pytest.fixture
def home(server: Upstream) -> Iterator[Daemon]:
    """A stopped daemon with secrets in it."""
    made = Daemon.fresh().start()
    made.connect_http("one", server.url, **{"X-A": ONE, "X-B": MORE})
    furnish(made, server)
    made.stop()
    yield made
    made.remove()


def furnish(daemon: Daemon, server: Upstream) -> None:
    daemon.connect_http("two", server.url, **{"X-A": TWO})
    daemon.connect_http("bare", server.url)
    daemon.env["KEY"] = daemon.add_key("client")


def called(home: Daemon, name: str) -> bytes:
    params = {"name": "echo", "arguments": {}}
    return home.rpc(name, "tools/call", params, key=home.env["KEY"]).body


def failing(home: Daemon) -> list[str]:
    """The subjects of the events that say so."""
    lines = home.ask("GET", "/v1/tail/events?follow=false").body.splitlines()
    found = [json.loads(line) for line in lines if line.strip()]
    return [e["subject"] for e in found if e["type"] == "mesh.connection.failing"]


@pytest.mark.parametrize("name", CHANGES)
def test_a_secret_that_was_moved_or_altered_stays_closed(
    tampered: Daemon, server: Upstream, name: str
) -> None:
    """A typed error, one line in the log, one event; nothing at all is sent upstream."""
    before = len(server.seen)
    for _ in range(2):
        body = called(tampered, name)
        error = json.loads(body)["error"]
        assert error["data"]["code"] == "upstream_failed", body
        assert error["data"]["next"] == "meshctl vault verify"
        assert not any(secret.encode() in body for secret in SECRETS)
    assert server.seen[before:] == []
    ident = tampered.control("GET", f"/v1/connections/{name}")["id"]
    until(lambda: failing(tampered).count(ident) == 1)
    log = (tampered.home / "logs/meshd.log").read_text()
    assert log.count(f"credentials of {name} ({ident})") == 1
    assert not any(secret in log for secret in SECRETS)


def test_the_others_are_served_as_before(tampered: Daemon, server: Upstream) -> None:
    assert b"result" in called(tampered, "two")
    assert server.of("tools/call")[-1].header("X-A") == TWO
    assert b"result" in called(tampered, "bare")


def test_verify_names_each_of_them(tampered: Daemon) -> None:
    """By id and reason, never by value; the exit code tells."""
    verified = meshctl(tampered, "vault", "verify", "--json")
    assert verified.code == 1
    found = json.loads(verified.out)
    ids = {tampered.control("GET", f"/v1/connections/{name}")["id"] for name in CHANGES}
    assert {failure["row"] for failure in found["failures"]} == ids
    assert all(failure["reason"] for failure in found["failures"])
    counts = {(c["table"], c["opened"], c["failed"]) for c in found["counts"]}
    assert counts == {("credentials", len(CHANGES) + 1, len(CHANGES)), ("data_keys", 1, 0)}
    assert not any(secret in verified.out + verified.err for secret in SECRETS)


OTHER = "org_0therother0ther0"
ADD_ORG = "INSERT INTO orgs (id, name, created_at) VALUES ('org_0therother0ther0', 'other', 0)"


@pytest.fixture
def two_orgs(home: Daemon) -> Daemon:
    """The same with another org, which got its data key by a start."""
    edit(home, lambda db: db.execute(ADD_ORG))
    home.start()
    home.stop()
    return home


def test_a_secret_of_another_org_stays_closed(two_orgs: Daemon) -> None:
    """Each org has its own data key, and the blob names it."""
    home = two_orgs
    move = "UPDATE credentials SET org_id = ? WHERE name = 'X-B'"
    edit(home, lambda db: db.execute(move, (OTHER,)))
    home.start()
    verified = json.loads(meshctl(home, "vault", "verify", "--json").out)
    assert [(f["org"], f["field"]) for f in verified["failures"]] == [(OTHER, "header:X-B")]
    assert "No key with the id" in verified["failures"][0]["reason"]
    home.stop()
    edit(
        home,
        lambda db: db.execute("UPDATE connections SET org_id = ? WHERE name = 'one'", (OTHER,)),
    )
    home.start()
    assert json.loads(called(home, "one"))["error"]["data"]["code"] == "not_found"
    assert b"result" in called(home, "two")


@pytest.mark.parametrize(
    "wrapped",
    ["substr(wrapped, 1, 40)", f"(SELECT wrapped FROM data_keys WHERE org_id = '{OTHER}')"],
)
def test_a_data_key_that_does_not_open_costs_its_org_alone(
    two_orgs: Daemon, server: Upstream, wrapped: str
) -> None:
    """The vault opens for the others; what the org has sealed fails typed, and so does more."""
    home = two_orgs
    change = f"UPDATE data_keys SET wrapped = {wrapped} WHERE org_id <> '{OTHER}'"
    edit(home, lambda db: db.execute(change))
    home.start()
    status = home.ask("GET", "/v1/status", Meshctl_Org="default").json()
    assert status["daemon"]["state"] == "running"
    assert json.loads(called(home, "one"))["error"]["data"]["code"] == "upstream_failed"
    assert b"result" in called(home, "bare")
    vault = home.control("GET", "/v1/vault")
    states = {o["name"]: [k["state"] for k in o["data_keys"]] for o in vault["orgs"]}
    assert states == {"default": ["broken"], "other": ["open"]}
    assert any("does not open" in problem["message"] for problem in vault["problems"])
    assert meshctl(home, "vault", "verify").code == 1
    asked = {"name": "new", "url": server.url, "headers": {"X": "y"}}
    refused = home.ask("POST", "/v1/connections", asked, Meshctl_Org="default")
    assert (refused.status, refused.json()["error"]["code"]) == (503, "unavailable")


def test_the_only_data_key_of_all_may_be_broken(home: Daemon) -> None:
    """The key on record says that the master key is right; the daemon is not locked by it."""
    edit(home, lambda db: db.execute("UPDATE data_keys SET wrapped = zeroblob(94)"))
    home.start()
    assert home.control("GET", "/v1/status")["daemon"]["state"] == "running"
    assert b"result" in called(home, "bare")


def test_what_is_whole_verifies(home: Daemon) -> None:
    """Counts by org and table, exit code 0; the home holds no plaintext."""
    home.start()
    verified = meshctl(home, "vault", "verify", "--json")
    assert verified.code == 0
    counts = {(c["table"], c["opened"], c["failed"]) for c in json.loads(verified.out)["counts"]}
    assert counts == {("credentials", 3, 0), ("data_keys", 1, 0)}
    files = [path for path in Path(home.home).rglob("*") if path.is_file()]
    assert [p for p in files if any(s.encode() in p.read_bytes() for s in SECRETS)] == []


def test_seals_are_on_record_before_they_are_made(home: Daemon, server: Upstream) -> None:
    """A killed daemon has counted too many, never too few; at the limit `status` warns."""

    def seals() -> int:
        with closing(database(home)) as db:
            return int(db.execute("SELECT sealed FROM data_keys").fetchone()[0])

    first = seals()
    assert first >= 3
    home.start()
    home.connect_http("next", server.url, **{"X-A": "x"})
    home.kill()
    assert seals() == first * 2
    edit(home, lambda db: db.execute("UPDATE data_keys SET sealed = 1 << 30"))
    home.start()
    vault = home.control("GET", "/v1/vault")
    assert vault["orgs"][0]["data_keys"][0]["rotation_due"] is True
    assert "is to be rotated" in vault["problems"][0]["message"]
    assert "due" in meshctl(home, "vault", "status").out
