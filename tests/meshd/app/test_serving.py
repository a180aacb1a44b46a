"""The composition root: the whole daemon within one process, opened and closed."""

import asyncio
import socket
from pathlib import Path

import pytest

from meshd.app import serving
from meshd.core.clock import SystemClock
from meshd.core.config import Config, read_config
from meshd.store.opening import open_databases
from meshd.wire.errors import Conflict


def config(home: Path, **more: str) -> Config:
    return read_config({"MESHCTL_HOME": str(home), "PORT": "0", **more})


async def open_and_close(config: Config) -> str:
    async with serving(config, SystemClock(), asyncio.Event(), asyncio.Event()) as served:
        assert Path(served.socket).is_socket()
        return served.state


async def is_whole(config: Config) -> bool:
    """Whether somebody else can write at once."""
    async with open_databases(config) as databases:
        return not await databases.pending()


async def test_what_was_opened_is_closed(tmp_path: Path) -> None:
    """No task is left, no socket, and the data is free for the next."""
    home = config(tmp_path)
    before = asyncio.all_tasks()
    for _ in range(2):
        assert await open_and_close(home) == "running"
        assert asyncio.all_tasks() == before
        assert not home.socket.exists()
    assert await is_whole(home)


async def test_a_start_that_fails_midway_closes_what_was_open(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        home = config(tmp_path, PORT=str(taken.getsockname()[1]))
        with pytest.raises(Conflict):
            await open_and_close(home)
    assert asyncio.all_tasks() == before
    assert not home.socket.exists()
    assert await is_whole(home)
