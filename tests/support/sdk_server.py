"""A real MCP server on the official SDK over Streamable HTTP, in a process of its own.

Run as a program it serves twice, with JSON answers and with event streams, and prints both URLs.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sdk_servers() -> Iterator[tuple[str, str]]:
    """The URLs of the one that answers in JSON and of the one that streams."""
    with subprocess.Popen([sys.executable, "-P", __file__], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            in_json, in_events = json.loads(process.stdout.readline())
            yield in_json, in_events
        finally:
            process.kill()


def main() -> None:
    import asyncio
    import socket

    import uvicorn
    from mcp.server.mcpserver import Context, MCPServer

    def made() -> MCPServer:
        server = MCPServer("sdk", version="1.0")

        @server.tool()
        def add(a: int, b: int) -> int:
            """Add two integers."""
            return a + b

        @server.tool()
        async def count(to: int, ctx: Context) -> str:  # type: ignore[type-arg]
            """Count, and tell how far."""
            for number in range(1, to + 1):
                await ctx.report_progress(number, to, f"at {number}")
            return f"counted to {to}"

        return server

    async def serve() -> None:
        serving, urls = [], []
        for in_json in (True, False):
            listener = socket.create_server(("127.0.0.1", 0))
            app = made().streamable_http_app(json_response=in_json)
            config = uvicorn.Config(app, log_level="error", lifespan="on")
            serving.append(uvicorn.Server(config).serve(sockets=[listener]))
            urls.append(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp")
        print(json.dumps(urls), flush=True)
        await asyncio.gather(*serving)

    asyncio.run(serve())


if __name__ == "__main__":
    main()
