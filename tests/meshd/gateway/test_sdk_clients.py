"""The official Python client through the gateway, to real servers of both transports."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshd.protocol.versions import LATEST_HANDSHAKE, LATEST_STATELESS
from tests.support.daemon import Daemon
from tests.support.sdk_client import Mode, sdk_client
from tests.support.sdk_server import sdk_servers

MODES: tuple[Mode, ...] = ("legacy", "auto", "2026-07-28")
SPOKEN = {"legacy": LATEST_HANDSHAKE, "auto": LATEST_STATELESS, "2026-07-28": LATEST_STATELESS}
"""What each mode ends up with at a gateway that speaks both eras."""


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> Iterator[str]:
    """A key for everything that is connected here: time, git, and the SDK's server twice."""
    shared_daemon.connect("time", sys.executable, "-m", "mcp_server_time")
    shared_daemon.connect("git", sys.executable, "-m", "mcp_server_git")
    with sdk_servers() as (in_json, in_events):
        shared_daemon.connect_http("json", in_json)
        shared_daemon.connect_http("streaming", in_events)
        yield shared_daemon.add_key("client")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with one file that is not committed."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / "new.txt").write_text("x")
    return folder


@pytest.mark.parametrize("mode", MODES)
async def test_the_time_server(shared_daemon: Daemon, key: str, mode: Mode) -> None:
    """A stdio server is listed and called, in the era that the client prefers."""
    async with sdk_client(shared_daemon, "time", key, mode) as client:
        assert client.protocol_version == SPOKEN[mode]
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {"get_current_time", "convert_time"}
        asked = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        result = await client.call_tool("convert_time", asked)
        assert not result.is_error
        assert "21:00" in result.content[0].text


@pytest.mark.parametrize("mode", MODES)
async def test_a_narrow_key_at_the_time_server(shared_daemon: Daemon, key: str, mode: Mode) -> None:
    """One tool is listed and called; the other is refused with the command that would allow it."""
    narrow = shared_daemon.add_key("narrow", "time/get_current_time")
    async with sdk_client(shared_daemon, "time", narrow, mode) as client:
        assert [t.name for t in (await client.list_tools()).tools] == ["get_current_time"]
        assert not (await client.call_tool("get_current_time", {"timezone": "UTC"})).is_error
        asked = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "UTC"}
        refused = await client.call_tool("convert_time", asked)
    shared_daemon.control("DELETE", "/v1/keys/narrow")
    assert refused.is_error
    assert refused.meta is not None
    assert refused.meta["meshctl/denied"] == {
        "rule": "no grant of narrow covers tool convert_time",
        "next": "meshctl key edit narrow --allow time/convert_time",
    }


@pytest.mark.parametrize("mode", MODES)
async def test_the_git_server(
    shared_daemon: Daemon, key: str, mode: Mode, repository: Path
) -> None:
    """Another stdio server, that works on files."""
    async with sdk_client(shared_daemon, "git", key, mode) as client:
        assert "git_status" in {tool.name for tool in (await client.list_tools()).tools}
        result = await client.call_tool("git_status", {"repo_path": str(repository)})
        assert "new.txt" in result.content[0].text


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("connection", ["json", "streaming"])
async def test_a_streamable_http_server(
    shared_daemon: Daemon, key: str, mode: Mode, connection: str
) -> None:
    """An HTTP server, whether it answers in JSON or streams."""
    async with sdk_client(shared_daemon, connection, key, mode) as client:
        assert client.protocol_version == SPOKEN[mode]
        assert {tool.name for tool in (await client.list_tools()).tools} == {"add", "count"}
        result = await client.call_tool("add", {"a": 2, "b": 3})
        assert result.structured_content == {"result": 5}
        refused = await client.call_tool("add", {"a": "two", "b": 3})
        assert refused.is_error


@pytest.mark.parametrize("mode", MODES)
async def test_progress_of_a_streamable_http_server(
    shared_daemon: Daemon, key: str, mode: Mode
) -> None:
    """Progress reaches the client that asked for it, in order, before the answer."""
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert (total, message) == (3, f"at {progress:g}")
        heard.append(progress)

    async with sdk_client(shared_daemon, "streaming", key, mode) as client:
        result = await client.call_tool("count", {"to": 3}, progress_callback=hear)
    assert result.content[0].text == "counted to 3"
    assert heard == [1, 2, 3]


@pytest.mark.parametrize(("connection", "speaks"), [("time", "2026-07-28"), ("json", "2026-07-28")])
def test_the_era_of_an_upstream_is_shown(
    shared_daemon: Daemon, key: str, connection: str, speaks: str
) -> None:
    """These servers speak both; the newest revision found is told."""
    shown = shared_daemon.control("GET", f"/v1/connections/{connection}")
    assert shown["protocol"] == speaks
