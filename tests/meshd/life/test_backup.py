"""A backup of a daemon under load, restored in another home: what was acknowledged is in it."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshctl.client.home import Home
from tests.meshctl.cli.process import Ran
from tests.meshctl.cli.process import meshctl as run
from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.wait import until

CANARY = "canary-8f2b6c1d"
WRITERS = 4
EACH = 15
"""Keys of every writer before the backup begins, and while it runs and after it."""


@pytest.fixture
def fresh() -> Iterator[Daemon]:
    """Another home, with no daemon yet."""
    made = Daemon.fresh()
    yield made
    made.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def loaded(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """A daemon on either kind of database."""
    made = Daemon.fresh()
    if request.param == "postgres":
        made.env["DATABASE_URL"] = request.getfixturevalue("dsn")
    yield made.start()
    made.remove()


def meshctl(daemon: Daemon, *argv: str) -> Ran:
    return run(*argv, home=Home(daemon.home), **daemon.env)


class Writer:
    """Adds keys until told to end; each is kept once it was acknowledged."""

    def __init__(self, daemon: Daemon, name: str) -> None:
        self._daemon, self._name = daemon, name
        self.ending = threading.Event()
        self.acknowledged: list[str] = []
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self.ending.is_set():
            name = f"{self._name}-{len(self.acknowledged)}"
            self.acknowledged.append(self._daemon.add_key(name))


def test_every_key_acknowledged_before_is_in_the_backup(loaded: Daemon, fresh: Daemon) -> None:
    """Writers go on meanwhile, and no secret of anything is in the file in the clear."""
    loaded.connect("example", *stdio_server.command(), env={"TOKEN": CANARY})
    loaded.connect_http("web", "https://u:p@example.invalid/?t=" + CANARY, Authorization=CANARY)
    writers = [Writer(loaded, f"w{number}") for number in range(WRITERS)]
    for writer in writers:
        writer.thread.start()
    until(lambda: all(len(writer.acknowledged) >= EACH for writer in writers))
    before = [secret for writer in writers for secret in [*writer.acknowledged]]
    file = fresh.home / "a.backup"
    old = os.umask(0)
    ran = meshctl(loaded, "db", "backup", str(file))
    os.umask(old)
    counts = [len(writer.acknowledged) for writer in writers]
    until(lambda: all(len(w.acknowledged) > n for w, n in zip(writers, counts, strict=True)))
    for writer in writers:
        writer.ending.set()
        writer.thread.join()
    assert ran.code == 0, ran.err
    assert file.stat().st_mode & 0o777 == 0o600

    content = file.read_bytes()
    for secret in (CANARY, (loaded.home / "keys" / "master.key").read_text().strip(), *before):
        assert secret.encode() not in content

    ran = meshctl(fresh, "db", "restore", str(file))
    assert ran.code == 0, ran.err
    assert "put that at" in ran.err, "the key is missing here"
    (fresh.home / "keys").mkdir(mode=0o700)
    shutil.copy2(loaded.home / "keys" / "master.key", fresh.home / "keys")
    fresh.start()
    for secret in before:
        assert fresh.tcp("GET", "/v1/unknown", key=secret).status == 404, "401 is a lost key"
    assert fresh.control("POST", "/v1/connections/example/test", {})["connection"]["tools"]


def test_every_event_acknowledged_before_is_in_the_backup(loaded: Daemon, fresh: Daemon) -> None:
    """With the delivery that it was to have: published meanwhile, each is there whole or not."""
    body = {"types": ["load"], "webhook": "http://127.0.0.1:9/", "name": "nobody"}
    loaded.control("POST", "/v1/webhook-subscriptions", body)
    ending, acknowledged = threading.Event(), list[str]()

    def publish() -> None:
        while not ending.is_set():
            event = f"e-{len(acknowledged)}"
            loaded.control("POST", "/v1/events", {"type": "load", "id": event})
            acknowledged.append(event)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        until(lambda: len(acknowledged) >= EACH)
        before = set(acknowledged)
        ran = meshctl(loaded, "db", "backup", str(fresh.home / "a.backup"))
        count = len(acknowledged)
        until(lambda: len(acknowledged) > count)
    finally:
        ending.set()
        publisher.join()
    assert ran.code == 0, ran.err
    ran = meshctl(fresh, "db", "restore", str(fresh.home / "a.backup"))
    assert ran.code == 0, ran.err
    (fresh.home / "keys").mkdir(mode=0o700)
    shutil.copy2(loaded.home / "keys" / "master.key", fresh.home / "keys")
    fresh.start()
    restored = {event["id"] for event in fresh.control("GET", "/v1/events?type=load&limit=1000")}
    assert before <= restored
    states = fresh.control("GET", "/v1/event-stats")["states"]
    assert sum(states.values()) == len(restored)


def test_a_home_with_a_daemon_is_not_restored_or_moved(daemon: Daemon, tmp_path: Path) -> None:
    """Refused with the pid and the way out; the daemon does not notice."""
    assert meshctl(daemon, "db", "backup", str(tmp_path / "b")).code == 0
    secret = daemon.add_key("later")
    for words in (["restore", str(tmp_path / "b")], ["move", "--to", "file:x.db"], ["migrate"]):
        ran = meshctl(daemon, "db", *words, "--yes")
        assert (ran.code, ran.out) == (6, "")
        assert f"pid: {daemon.pid}\n" in ran.err
        assert "next: meshctl daemon stop\n" in ran.err
    assert daemon.tcp("GET", "/v1/unknown", key=secret).status == 404


def test_a_backup_is_the_same_without_a_daemon(fresh: Daemon, tmp_path: Path) -> None:
    """And `db status` tells of the last one."""
    assert "no data yet" in meshctl(fresh, "db", "backup", str(tmp_path / "b")).err
    fresh.start()
    secret = fresh.add_key("one")
    fresh.stop()
    assert meshctl(fresh, "db", "backup", str(tmp_path / "b")).code == 0
    assert str(tmp_path / "b") in meshctl(fresh, "db", "status").out
    fresh.start()
    assert fresh.tcp("GET", "/v1/unknown", key=secret).status == 404
    refused = meshctl(fresh, "db", "backup", str(tmp_path / "b"))
    assert refused.code == 2
    assert meshctl(fresh, "db", "backup", str(tmp_path / "b"), "--yes").code == 0
    kinds = {event["type"] for event in _events(fresh)}
    assert "mesh.db.backed_up" in kinds


def _events(daemon: Daemon) -> list[dict[str, str]]:
    ran = meshctl(daemon, "event", "tail", "--no-follow", "--json")
    return [json.loads(line) for line in ran.out.splitlines()]
