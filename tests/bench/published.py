"""The floor that publishes are compared with: aiohttp, a key in a dictionary, and one row an event.

It stores a row on SQLite with a full sync, many to a commit, and says so. It checks nothing, knows
nobody and delivers nowhere.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

from aiohttp import web

from meshd.store.writer import Writer
from tests.bench.server import run

_INSERT = "INSERT INTO events (id, type, data) VALUES (?, ?, ?)"


def _connect() -> sqlite3.Connection:
    path = Path(tempfile.mkdtemp(prefix="bench-floor-")) / "floor.db"
    link = sqlite3.connect(path, isolation_level=None)
    link.row_factory = sqlite3.Row
    link.execute("PRAGMA journal_mode=WAL")
    link.execute("PRAGMA synchronous=FULL")
    link.execute(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, type TEXT, data TEXT)"
    )
    return link


class Floor:
    """Answers when the row is on disk."""

    def __init__(self) -> None:
        self._writer: Writer | None = None
        self._lock = asyncio.Lock()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Store one."""
        if self._writer is None:
            async with self._lock:
                self._writer = self._writer or await Writer.open(_connect)
        asked = json.loads(await request.read())
        made = uuid4().hex
        row = (made, asked["type"], json.dumps(asked.get("data")))
        await self._writer.submit(lambda link: link.execute(_INSERT, row).rowcount)
        return web.json_response({"id": made, "deliveries": 0})


if __name__ == "__main__":
    sys.exit(run(Floor().answer))
