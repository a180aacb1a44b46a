"""A TCP port before the tests' server, which may fall silent, count who comes, or speak TLS."""

import asyncio
import ssl
from contextlib import suppress
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from tests.support.postgres import with_options

TLS_ASKED = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""What a client of Postgres sends first if it wants TLS."""


class Front:
    """Bytes pass both ways as long as `speaking` is set."""

    def __init__(self, dsn: str, tls: ssl.SSLContext | None) -> None:
        self._behind = dsn
        self._tls = tls
        self._links: set[asyncio.Task[None]] = set()
        self.speaking = asyncio.Event()
        self.speaking.set()
        self.began_with: list[bytes] = []
        self.dsn = ""

    @classmethod
    async def open(cls, dsn: str, tls: ssl.SSLContext | None = None) -> Self:
        front = cls(dsn, tls)
        front._server = await asyncio.start_server(front._link, "127.0.0.1", 0)
        port = front._server.sockets[0].getsockname()[1]
        front.dsn = with_options(dsn, host="127.0.0.1", port=str(port))
        return front

    async def close(self) -> None:
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """End what passes, without a word to either side."""
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._links.add(task)
        task.add_done_callback(self._links.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            first = await reader.readexactly(8)
            self.began_with.append(first)
            if self._tls is not None and first == TLS_ASKED:
                writer.write(b"S")
                await writer.start_tls(self._tls)
                first = b""
            behind_reader, behind = await _connect(self._behind)
            behind.write(first)
            try:
                await asyncio.gather(self._pass(reader, behind), self._pass(behind_reader, writer))
            finally:
                behind.close()
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.speaking.wait()
            writer.write(data)
        writer.close()


async def _connect(dsn: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    options = dict(parse_qsl(urlsplit(dsn).query))
    host, port = options["host"], options.get("port", "5432")
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, int(port))
