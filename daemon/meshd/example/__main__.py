"""`python -m meshd.example`: an MCP server over stdio, on the official SDK, in its own process."""

from datetime import UTC, datetime

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

server = MCPServer("meshctl-example", version="0.1.0", instructions="A server to try things with.")
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


@server.tool(annotations=READS)
def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


@server.tool(annotations=READS)
def greet(name: str) -> str:
    """Greet somebody by name."""
    return f"Hello, {name}!"


@server.tool(annotations=READS)
def now() -> str:
    """Tell the time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    server.run("stdio")
