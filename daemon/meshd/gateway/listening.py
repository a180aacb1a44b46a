"""Where the daemon listens for clients, and what they call it."""

import asyncio
import socket
from dataclasses import replace

from meshd.core.config import Config
from meshd.core.home import Remembered
from meshd.gateway.site import bind
from meshd.store.scoped import ScopedDatabase


async def listen(config: Config, main: ScopedDatabase) -> tuple[socket.socket, str]:
    """The port that was asked for, else the one used last time, else the next free one.

    Told beside it is how sessions name this daemon.
    """
    before = await asyncio.to_thread(Remembered.read, config.remembered)
    if before.port is None and main.dialect == "sqlite":  # where older homes kept it
        row = await main.one("meta.get", name="port")
        before = replace(before, port=int(row["value"]) if row else None)
    listener = bind(config.host, config.port, before.port)
    now = replace(before, port=listener.getsockname()[1])
    await asyncio.to_thread(now.write, config.remembered)
    return listener, now.daemon


def url_of(config: Config, port: int) -> str:
    """Where clients on this machine reach the port."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names, not a choice
    host = anywhere.get(config.host, config.host)
    return f"{'https' if config.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
