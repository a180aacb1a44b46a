"""The example server that ships: a real client of the SDK reaches it in its own process."""

import sys

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

SERVER = StdioServerParameters(command=sys.executable, args=["-m", "meshd.example"])


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_every_tool_answers_and_only_reads(mode: str) -> None:
    """What `quickstart` shows, in the era of the daemon and in the newest."""
    async with Client(stdio_client(SERVER), mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"add", "greet", "now"}
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())
        added = await client.call_tool("add", {"a": 2, "b": 3})
        greeted = await client.call_tool("greet", {"name": "you"})
        assert (added.structured_content, greeted.structured_content) == (
            {"result": 5}, {"result": "Hello, you!"},
        )  # fmt: skip
        assert not (await client.call_tool("now", {})).is_error
