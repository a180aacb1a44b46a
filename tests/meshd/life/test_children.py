"""Children of the daemon: reaped when they end, gone when the daemon is, however it ended."""

import os
import signal
from collections.abc import Iterator

import pytest

from meshd.proxy.watchdog import PROGRAM
from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.processes import lives, parent, shown, zombies
from tests.support.wait import until

KINDS = {"mild": (), "stubborn": ("stubborn",)}
"""The stubborn one ignores SIGTERM and the end of its input, and forked a child that does too."""


def connect(daemon: Daemon, kind: str) -> list[int]:
    """Connect a server; its pids."""
    daemon.connect(kind, *stdio_server.command(*KINDS[kind]))
    return ask_pids(daemon, kind)


def ask_pids(daemon: Daemon, kind: str) -> list[int]:
    """The pids of the server's process and of the one that it forked."""
    made = daemon.control("POST", f"/v1/connections/{kind}/tools/pids/call")
    pids = [pid for pid in made["result"]["structuredContent"]["value"] if pid]
    assert len(pids) == (2 if kind == "stubborn" else 1)
    assert all(map(lives, pids))
    return pids


def watchdog(daemon: Daemon) -> int:
    """The pid of the helper that outlives a killed daemon."""
    (pid,) = [pid for pid, line in shown().items() if PROGRAM in line and parent(pid) == daemon.pid]
    return pid


def none_lives(pids: list[int]) -> bool:
    return not any(map(lives, pids))


@pytest.fixture
def strays() -> Iterator[list[int]]:
    """Pids that must not outlive the test, also where it fails."""
    pids: list[int] = []
    yield pids
    for pid in filter(lives, pids):
        os.kill(pid, signal.SIGKILL)


def test_children_end_with_the_daemon(daemon: Daemon, strays: list[int]) -> None:
    """Killed, its watchdog ends all of them; stopped, it leaves none when it is gone."""
    pids = connect(daemon, "mild") + connect(daemon, "stubborn")
    strays += [*pids, watchdog(daemon)]
    daemon.kill()
    until(lambda: none_lives(strays))
    daemon.start()
    pids = [pid for kind in KINDS for pid in ask_pids(daemon, kind)]
    strays[:] = [*pids, watchdog(daemon)]
    assert daemon.stop() == 0
    assert none_lives(strays)


def test_without_the_watchdog_the_next_daemon_ends_them(daemon: Daemon, strays: list[int]) -> None:
    """Whoever kills everything at once kills the watchdog too."""
    strays += connect(daemon, "stubborn")
    os.kill(watchdog(daemon), signal.SIGKILL)
    daemon.kill()
    assert all(map(lives, strays)), "they outlive the daemon, or this test shows nothing"
    daemon.start()
    assert none_lives(strays)


@pytest.mark.parametrize("action", ["disable", "remove", "edit"])
def test_a_child_ends_with_its_connection(shared_daemon: Daemon, action: str) -> None:
    """Disabled, removed or changed: its process is gone when that is acknowledged."""
    pids = connect(shared_daemon, "mild")
    path = "/v1/connections/mild"
    if action == "disable":
        shared_daemon.control("POST", f"{path}/disable")
    elif action == "edit":
        shared_daemon.control("PATCH", "/v1/stdio-connections/mild", {"env": {"MODE": "other"}})
    else:
        shared_daemon.control("DELETE", path)
    assert none_lives(pids)
    if action != "remove":
        shared_daemon.control("DELETE", path)


def test_a_child_that_ends_by_itself_is_reaped(shared_daemon: Daemon) -> None:
    """No zombie stays, and nothing that it forked."""
    pids = connect(shared_daemon, "stubborn")
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: none_lives(pids))
    until(lambda: zombies(shared_daemon.pid) == [])
    shared_daemon.control("DELETE", "/v1/connections/stubborn")


def test_a_child_that_never_speaks_leaves_nothing(shared_daemon: Daemon) -> None:
    """A program that ends at once, and one that cannot be started."""
    for name, command in (("ends", ["/bin/sh", "-c", "exit 1"]), ("absent", ["/nonexistent"])):
        assert shared_daemon.connect(name, *command)["state"] == "failing"
    assert zombies(shared_daemon.pid) == []
    assert list((shared_daemon.home / "run/children").glob("*")) == []
