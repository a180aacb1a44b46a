"""What a virtual MCP's lists are said to cost is what clients get."""

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.virtuals import ask, attach, make

MODES = ["passthrough", "smart_tool_selection"]


@pytest.mark.parametrize("mode", MODES)
def test_a_list_is_measured_as_it_is_served(shared_daemon: Daemon, mode: str) -> None:
    name = f"sized-{mode[:5]}"
    asked = {"name": f"{name}-child", "command": list(stdio_server.command())}
    shared_daemon.control("POST", "/v1/stdio-connections", asked)
    make(shared_daemon, name, asked["name"], mode=mode)
    attach(shared_daemon, name, asked["name"], overrides={"echo": {"description": "d" * 400}})
    key = shared_daemon.add_key(name, name)
    served = ask(shared_daemon, f"/{name}", "tools/list", key=key)
    shown = shared_daemon.control("GET", f"/v1/virtuals/{name}?sizes=true")
    size = shown["sizes"][mode]
    assert list(shown["sizes"]) == MODES
    assert size["tools"] == len(served.json()["result"]["tools"])
    assert 0 <= len(served.body) - size["bytes"] < 200  # the envelope around it
    assert size["bytes"] / 4 <= size["tokens"] + 8 <= size["bytes"] / 4 + 2 * size["tools"] + 8
    assert "sizes" not in shared_daemon.control("GET", f"/v1/virtuals/{name}")


def test_a_key_measures_what_it_may_use(shared_daemon: Daemon) -> None:
    """Its own list, so that no number tells of what is not granted."""
    asked = {"name": "meter-child", "command": list(stdio_server.command())}
    shared_daemon.control("POST", "/v1/stdio-connections", asked)
    make(shared_daemon, "meter", "meter-child")
    one = shared_daemon.add_key("one", "meter/meter-child_echo", "self/virtual.show")
    none = shared_daemon.add_key("none", "self/virtual.show")
    shown = shared_daemon.tcp("GET", "/v1/virtuals/meter?sizes=true", key=one).json()
    assert shown["sizes"]["passthrough"]["tools"] == 1
    assert shared_daemon.tcp("GET", "/v1/virtuals/meter", key=none).status == 200
    assert shared_daemon.tcp("GET", "/v1/virtuals/meter?sizes=true", key=none).status == 403
