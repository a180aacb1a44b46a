"""The official Python client, pointed at a connection of the gateway with a key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.daemon import Daemon

Mode = Literal["legacy", "auto", "2026-07-28"]


@asynccontextmanager
async def sdk_client(
    daemon: Daemon, connection: str, key: str, mode: Mode = "legacy"
) -> AsyncIterator[Client]:
    """A client whose session with the gateway is open."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(f"{daemon.url}/mcp/{connection}", http_client=http)
        async with Client(transport, mode=mode) as client:
            yield client
