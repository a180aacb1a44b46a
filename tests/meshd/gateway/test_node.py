"""A Node client and a Node server, the ones most people start with, through the gateway."""

import sys

import pytest

from tests.support.daemon import Daemon
from tests.support.node_tools import NodeTools, node_tools

pytestmark = pytest.mark.timeout(600)  # the first run ever installs


@pytest.fixture(scope="module")
def tools() -> NodeTools:
    """The programs."""
    return node_tools()


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, tools: NodeTools) -> str:
    """A key for both servers."""
    shared_daemon.connect("everything", *tools.everything)
    shared_daemon.connect("time", sys.executable, "-m", "mcp_server_time")
    return shared_daemon.add_key("inspector")


def test_the_inspector_lists_a_node_server(
    shared_daemon: Daemon, tools: NodeTools, key: str
) -> None:
    """Every tool arrives."""
    listed = tools.inspect(shared_daemon, "everything", key, "tools/list")["tools"]
    assert {"echo", "get-sum"} <= {tool["name"] for tool in listed}


def test_the_inspector_calls_a_node_server(
    shared_daemon: Daemon, tools: NodeTools, key: str
) -> None:
    """Typed arguments arrive, and the answer does."""
    words = ("tools/call", "--tool-name", "get-sum", "--tool-arg", "a=2", "b=3")
    result = tools.inspect(shared_daemon, "everything", key, *words)
    assert "5" in result["content"][0]["text"]


def test_the_inspector_calls_a_python_server(
    shared_daemon: Daemon, tools: NodeTools, key: str
) -> None:
    """List and call of the time server."""
    listed = tools.inspect(shared_daemon, "time", key, "tools/list")["tools"]
    assert {tool["name"] for tool in listed} == {"get_current_time", "convert_time"}
    words = ("tools/call", "--tool-name", "get_current_time", "--tool-arg", "timezone=UTC")
    result = tools.inspect(shared_daemon, "time", key, *words)
    assert "UTC" in result["content"][0]["text"]
