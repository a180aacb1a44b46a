"""R01: writers of keys and connections, and a daemon that is killed in the middle of it.

Every acknowledgement is in a file, synced, before the next request: the oracle. After each restart
the daemon is asked for all of it. What was under way at a kill may have happened or not.
"""

import http.client
import json
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.outcome import Outcome, percentile
from tests.support.daemon import Daemon

WRITERS = 4
NOWHERE = "http://127.0.0.1:1/mcp"
PROBES = 150
"""Secrets tried after each kill; all of them are after the last one."""
START_GATE = 3.0
"""Seconds from a restart to its first acknowledgement; a gate of the full form."""


class Oracle:
    """What was acknowledged, in memory and in a file that is synced line by line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self.alive: dict[str, str] = {}
        """Secrets of keys by name."""
        self.dead: dict[str, str] = {}
        self.connected: set[str] = set()
        self.gone: set[str] = set()
        self.count = 0

    def note(self, verb: str, name: str, secret: str = "") -> None:
        """Remember an acknowledgement, for good."""
        with self._lock:
            self._file.write(json.dumps([verb, name, secret]) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.count += 1
            if verb == "key":
                self.alive[name] = secret
            elif verb == "revoke":
                self.dead[name] = self.alive.pop(name, "")
            elif verb == "connect":
                self.connected.add(name)
            else:
                self.connected.discard(name)
                self.gone.add(name)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass
class Writer:
    """Adds and removes until the daemon is gone. `undecided` was asked for and never answered."""

    daemon: Daemon
    oracle: Oracle
    name: str
    chance: random.Random
    keys: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    undecided: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Work until a connection breaks."""
        number = 0
        while True:
            number += 1
            try:
                self._one(f"{self.name}-{number}")
            except (OSError, http.client.HTTPException):
                return

    def _one(self, fresh: str) -> None:
        match self.chance.choices(("key", "revoke", "connect", "remove"), (8, 3, 2, 1))[0]:
            case "key":
                self._ask("POST", "/v1/keys", {"name": fresh}, fresh, "key")
                self.keys.append(fresh)
            case "revoke" if self.keys:
                name = self.keys.pop(self.chance.randrange(len(self.keys)))
                self._ask("DELETE", f"/v1/keys/{name}", None, name, "revoke")
            case "connect":
                body = {"name": fresh, "url": NOWHERE, "headers": {"X-Api-Key": fresh}}
                self._ask("POST", "/v1/connections", body, fresh, "connect")
                self.connections.append(fresh)
            case "remove" if self.connections:
                name = self.connections.pop()
                self._ask("DELETE", f"/v1/connections/{name}", None, name, "remove")

    def _ask(self, method: str, path: str, body: Any, name: str, verb: str) -> None:
        self.undecided.add(name)
        answer = self.daemon.ask(method, path, body)
        if answer.status == 200:
            secret = answer.json()["key"] if verb == "key" else ""
            self.oracle.note(verb, name, secret)
        else:
            self.refused.append(f"{verb} {name}: {answer.status} {answer.body!r:.200}")
        self.undecided.discard(name)


def run(seed: int, *, full: bool) -> Outcome:
    """Kill 50 times at gaps of 0.2 to 5 s; the short form 3 times at gaps under half a second."""
    kills, longest = (50, 5.0) if full else (3, 0.5)
    found, chance = Outcome(), random.Random(seed)
    daemon, folder = Daemon.fresh(), Path(tempfile.mkdtemp(prefix="oracle-"))
    oracle, first_acks, undecided = Oracle(folder / "acks"), [], set[str]()
    intact = 0
    try:
        daemon.start()
        for number in range(kills):
            writers = [
                Writer(daemon, oracle, f"r{number}w{at}", random.Random(chance.random()))
                for at in range(WRITERS)
            ]
            _storm(daemon, writers, chance.uniform(0.2, longest))
            for writer in writers:
                undecided |= writer.undecided
                found.failures += writer.refused
            intact += is_intact(daemon.home / "data" / "mesh.db", folder)
            began = time.monotonic()
            daemon.start()
            oracle.note("key", f"first-{number}", daemon.add_key(f"first-{number}"))
            first_acks.append(time.monotonic() - began)
            _compare(daemon, oracle, undecided, chance, found, every=number == kills - 1)
    finally:
        oracle.close()
        daemon.remove()
        shutil.rmtree(folder)
    found.expect(intact == kills, f"the database was intact {intact} times of {kills}")
    found.expect(not full or max(first_acks) <= START_GATE, "a restart took too long")
    found.numbers |= {
        "kills": kills, "acknowledged": oracle.count, "undecided at a kill": len(undecided),
        "integrity ok": f"{intact}/{kills}",
        "restart to first ack, median and worst": f"{percentile(first_acks, 0.5):.2f} s, "
        f"{max(first_acks):.2f} s",
    }  # fmt: skip
    return found


def _storm(daemon: Daemon, writers: list[Writer], seconds: float) -> None:
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    daemon.kill()
    for thread in threads:
        thread.join()


def is_intact(path: Path, folder: Path) -> bool:
    """Whether SQLite finds the files as the kill left them whole; asked of a copy."""
    for ending in ("", "-wal"):
        shutil.copy(f"{path}{ending}", folder / f"copy.db{ending}")
    with closing(sqlite3.connect(folder / "copy.db")) as link:
        answer: str = link.execute("PRAGMA integrity_check").fetchone()[0]
    return answer == "ok"


def _compare(
    daemon: Daemon, oracle: Oracle, undecided: set[str], chance: random.Random,
    found: Outcome, *, every: bool,
) -> None:  # fmt: skip
    """Ask for everything that was acknowledged, and for nothing that was not."""
    keys = {row["name"] for row in daemon.control("GET", "/v1/keys")}
    connections = {row["name"] for row in daemon.control("GET", "/v1/connections")}
    lost = (oracle.alive.keys() - keys) | (oracle.connected - connections)
    undead = (oracle.dead.keys() & keys) | (oracle.gone & connections)
    unknown = (keys - oracle.alive.keys()) | (connections - oracle.connected)
    found.expect(not lost - undecided, f"lost: {sorted(lost - undecided)[:5]}")
    found.expect(not undead - undecided, f"alive again: {sorted(undead - undecided)[:5]}")
    found.expect(not unknown - undecided, f"of nobody: {sorted(unknown - undecided)[:5]}")
    for kind, expected in ((oracle.alive, 404), (oracle.dead, 401)):
        names = sorted(kind.keys() - undecided)
        for name in names if every else chance.sample(names, min(len(names), PROBES // 2)):
            status = daemon.tcp("GET", "/v1/unknown", key=kind[name]).status
            found.expect(status == expected, f"{name}: {status} instead of {expected}")
