"""The daemon's entry: arguments, lock, log, signals, run."""

import argparse
import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from meshd.app import serving
from meshd.core.clock import SystemClock
from meshd.core.config import Config, read_config
from meshd.core.http_server import check_parser
from meshd.core.log import close_log, open_log
from meshd.core.process import close_to_others, notify, raise_file_limit
from meshd.core.watchdog import Watchdog
from meshd.wire.errors import Conflict, Internal, MeshError
from meshd.wire.version import VERSION

HURRY = 1.5
"""Seconds from the second signal to the end, whatever hangs then."""


def run() -> None:
    """`meshd`: serve until told to stop; `meshd doctor --json`: check the daemon's own side."""
    parser = argparse.ArgumentParser(prog="meshd", description="The daemon of meshctl.")
    parser.add_argument("command", nargs="?", choices=["serve", "doctor"], default="serve")
    parser.add_argument("--port", type=int, help="TCP port; 0 picks a free one")
    parser.add_argument("--ready-fd", type=int, help="write one JSON line here once it serves")
    parser.add_argument("--json", action="store_true", help="doctor: answer in JSON")
    parser.add_argument("--version", action="version", version=VERSION)
    asked = parser.parse_args()
    if asked.command == "doctor":
        from meshd.services.doctor import examine

        print(json.dumps(examine(read_config(os.environ)), indent=None if asked.json else 2))  # noqa: T201 - the answer
        return
    try:
        config = read_config(os.environ, port=asked.port)
        check_parser()
        _harden(config)
        with _only_one(config):
            _serve(config, asked.ready_fd)
    except MeshError as error:
        _tell(asked.ready_fd, error.body())
        facts = "".join(f"  {name}: {fact}\n" for name, fact in error.facts.items())
        following = f"next: {error.next}\n" if error.next else ""
        sys.stderr.write(f"error: {error.message}\n{facts}{following}")
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        _tell(asked.ready_fd, Internal(f"meshd failed: {type(error).__name__}: {error}").body())
        raise


def _harden(config: Config) -> None:
    """Files for the owner only, memory for nobody."""
    os.umask(0o077)
    close_to_others()
    raise_file_limit()
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.home.chmod(0o700)


class _only_one:  # noqa: N801 - reads as what it does
    """Holds the home's lock; the kernel releases it when the process ends, however it ends."""

    def __init__(self, config: Config) -> None:
        self._path = config.lock
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(self._path)
            os.close(self._fd)
            raise Conflict(
                "another meshd runs in this home", facts={"pid": holder}, next="meshctl status"
            ) from None
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip() or "unknown"
    return "unknown"


def _serve(config: Config, ready_fd: int | None) -> None:
    listener = open_log(config.log, config.log_level)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_until_stopped(config, ready_fd))
    finally:
        close_log(listener)


def _loop_factory() -> Any:
    """Uvloop's where the extra `fast` is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _until_stopped(config: Config, ready_fd: int | None) -> None:
    stopping, hurry = asyncio.Event(), asyncio.Event()
    loop, clock = asyncio.get_running_loop(), SystemClock()
    manager = os.environ.get("NOTIFY_SOCKET", "")

    def end() -> None:
        if stopping.is_set() and not hurry.is_set():
            hurry.set()
            loop.call_later(HURRY, os._exit, 0)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    async with Watchdog(clock, manager), serving(config, clock, stopping, hurry) as served:
        ready = {"pid": os.getpid(), "socket": served.socket, "url": served.url}
        _tell(ready_fd, {**ready, "version": VERSION})
        notify(manager, "READY=1")
        await stopping.wait()
        notify(manager, "STOPPING=1")


def _tell(ready_fd: int | None, body: Mapping[str, Any]) -> None:
    if ready_fd is not None:
        with suppress(OSError):
            os.write(ready_fd, json.dumps(body).encode() + b"\n")
            os.close(ready_fd)
