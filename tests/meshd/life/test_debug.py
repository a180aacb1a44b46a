"""The debug server: off by default, on loopback, for those who may see the inside."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.daemon import Daemon
from tests.support.starting import refuse
from tests.support.wait import until


@pytest.fixture(scope="module")
def house() -> Iterator[Daemon]:
    made = Daemon.fresh(ENABLE_DEBUG_SERVER="true", DEBUG_PORT="0")
    made.start()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def debug(house: Daemon) -> Daemon:
    """The same daemon, asked at its other port."""
    log = house.home / "logs/meshd.log"
    says = re.compile(r"debug server listens on (127\.0\.0\.1:\d+)")
    until(lambda: says.search(log.read_text()))
    (address,) = says.findall(log.read_text())
    return replace(house, url=f"http://{address}")


@pytest.fixture(scope="module")
def key(house: Daemon) -> str:
    return house.add_key("inside", "self/daemon.show")


def test_it_shows_tasks_threads_and_memory(debug: Daemon, key: str) -> None:
    tasks = debug.tcp("GET", "/tasks", key=key).json()
    assert {"meshd.snapshot", "meshd.sweeper"} <= {task["name"] for task in tasks}
    assert any("directory.py" in place for task in tasks for place in task["at"])
    threads = debug.tcp("GET", "/threads", key=key).json()
    assert "watchdog" in {thread["name"] for thread in threads}
    assert all(thread["at"] for thread in threads if thread["name"] == "MainThread")
    memory = debug.tcp("GET", "/memory", key=key).json()
    assert memory["objects"] > sum(memory["types"].values()) > 0
    assert debug.tcp("POST", "/gc", key=key).json()["collected"] >= 0


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("POST", "/tasks", {}, 405),
        ("GET", "/tasks", {"Host": "evil.example"}, 421),
        ("GET", "/tasks", {"Origin": "https://evil.example"}, 403),
    ],
)
def test_what_is_refused(
    debug: Daemon, key: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    assert debug.tcp(method, path, key=key, **headers).status == status


def test_a_key_must_say_it(house: Daemon, debug: Daemon) -> None:
    """No key 401, a key for tools 403; the MCP port has none of its pages."""
    answer = debug.tcp("GET", "/tasks")
    assert (answer.status, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert debug.tcp("GET", "/tasks", key=house.add_key("tools")).status == 403
    assert house.tcp("GET", "/tasks").status == 404


def test_a_port_that_is_taken_is_refused(house: Daemon, debug: Daemon) -> None:
    other = Daemon.fresh(ENABLE_DEBUG_SERVER="true", DEBUG_PORT=debug.url.rsplit(":", 1)[1])
    try:
        refused = refuse(other, "--port", "0")
        assert "is taken" in refused.told["error"]["message"]
    finally:
        other.remove()


def test_it_is_off_by_default(daemon: Daemon) -> None:
    """The log is whole once the daemon has ended."""
    daemon.stop()
    assert "debug server" not in (daemon.home / "logs/meshd.log").read_text()
