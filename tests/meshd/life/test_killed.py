"""What was acknowledged is there after `kill -9`, and the daemon starts as if nothing had been."""

import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.wait import until

KILLS = 3
EACH = 25
"""Acknowledgements between two kills, at least."""


@dataclass
class Adder:
    """Adds keys as fast as it can, until the daemon is gone; keeps what was acknowledged."""

    daemon: Daemon
    name: str
    acknowledged: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        number = 0
        while True:
            name = f"{self.name}-{number}"
            try:
                self.acknowledged[name] = self.daemon.add_key(name)
            except (OSError, http.client.HTTPException):
                return
            number += 1


@pytest.fixture(params=["sqlite", "postgres"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """A daemon of this test's own, on each database in turn."""
    url = request.getfixturevalue("dsn") if request.param == "postgres" else ""
    made = Daemon.fresh(DATABASE_URL=url).start()
    yield made
    made.remove()


def test_acknowledged_keys_survive_kills(daemon: Daemon) -> None:
    """Every one of them, with its secret, over several kills in the middle of the work."""
    daemon.connect("stand-in", *stdio_server.command())
    kept: dict[str, str] = {}
    for round_ in range(KILLS):
        adders = [Adder(daemon, f"r{round_}-a{number}") for number in range(3)]
        threads = [threading.Thread(target=adder.run) for adder in adders]
        for thread in threads:
            thread.start()
        until(lambda adders=adders: sum(len(a.acknowledged) for a in adders) >= EACH)
        daemon.kill()
        for thread in threads:
            thread.join()
        for adder in adders:
            kept |= adder.acknowledged
        daemon.start()
        assert kept.keys() <= {key["name"] for key in daemon.control("GET", "/v1/keys")}
    assert len(kept) >= KILLS * EACH
    for secret in kept.values():
        assert daemon.tcp("GET", "/v1/unknown", key=secret).status == 404, "401 is a lost key"


def test_acknowledged_changes_survive_a_kill(daemon: Daemon) -> None:
    """Connections with their secrets, grants, revocations, and the events that tell of them."""
    daemon.connect("stand-in", *stdio_server.command(), env={"CANARY": "kept"})
    daemon.connect("gone", *stdio_server.command())
    key, lost = daemon.add_key("kept", "stand-in/echo"), daemon.add_key("lost")
    daemon.control("PATCH", "/v1/keys/kept", {"allow": ["stand-in/write"]})
    daemon.control("DELETE", "/v1/connections/gone")
    daemon.control("DELETE", "/v1/keys/lost")
    daemon.kill()
    daemon.start()
    found = daemon.control("GET", "/v1/connections")
    assert [(c["name"], c["env"]) for c in found] == [("stand-in", ["CANARY"])]
    shown = daemon.control("GET", "/v1/keys/kept")
    assert shown["grants"] == ["stand-in/echo", "stand-in/write"]
    params = {"name": "write", "arguments": {"x": 1}}
    answer = daemon.rpc("stand-in", "tools/call", params, key=key).json()
    assert answer["result"]["structuredContent"] == {"value": {"x": 1}}
    assert daemon.rpc("stand-in", "ping", key=lost).status == 401
    events = daemon.ask("GET", "/v1/tail/events?follow=false").body
    assert b"mesh.key.revoked" in events
    assert b"mesh.connection.removed" in events
