"""A real MCP server on the official SDK that subscribes itself, as servers made for MCP Mesh do.

Told where its mesh is (`ON_MCP_CONFIGURATION`) it syncs its subscriptions there; it takes events
(`ON_EVENTS`) and tells what it took (`RECEIVED`). Run as a program it prints its URL.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def subscriber() -> Iterator[str]:
    """Its URL."""
    with subprocess.Popen([sys.executable, "-P", __file__], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().decode().strip()
        finally:
            process.kill()


def main() -> None:
    import asyncio
    import socket
    from typing import Any

    import httpx2
    import uvicorn
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("subscriber", version="1.0")
    received: list[dict[str, Any]] = []
    mesh: dict[str, str] = {}

    async def ask(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {mesh['key']}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(mesh["url"], http_client=http)
            async with Client(transport, mode="legacy") as client:
                answer = await client.call_tool(tool, arguments)
        return answer.structured_content or {"error": answer.content[0].text}

    @server.tool()
    async def ON_MCP_CONFIGURATION(url: str, key: str, types: list[str]) -> dict[str, Any]:
        """Subscribe to these types."""
        mesh.update(url=url, key=key)
        wanted = [{"eventType": one} for one in types]
        return await ask("EVENT_SYNC_SUBSCRIPTIONS", {"subscriptions": wanted})

    @server.tool()
    def ON_EVENTS(events: list[dict[str, Any]]) -> dict[str, Any]:
        """Take events. One of a type that ends in `.later` is put off for an hour."""
        received.extend(events)
        return {
            "results": {
                event["id"]: {"retryAfter": 3_600_000}
                if event["type"].endswith(".later")
                else {"success": True}
                for event in events
            }
        }

    @server.tool()
    async def ASK(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool of the mesh."""
        return await ask(tool, arguments)

    @server.tool()
    def RECEIVED() -> dict[str, Any]:
        """Every event so far."""
        return {"events": received}

    async def serve() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        app = server.streamable_http_app(json_response=True)
        config = uvicorn.Config(app, log_level="error", lifespan="on")
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])

    asyncio.run(serve())


if __name__ == "__main__":
    main()
