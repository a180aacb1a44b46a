"""`meshd --dev`: a parent that starts meshd afresh when a file of its package changes.

The files' times are polled: that works on every system and file system, and costs milliseconds.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("meshd")))
EVERY = 1.0
WATCHED = frozenset({".py", ".sql"})

State = dict[Path, int]
"""Each watched file with the time of its last change, in nanoseconds."""


def supervise(arguments: Sequence[str], ready_fd: int | None) -> int:
    """Run `meshd ARGUMENTS` without `--dev` until told to stop; its last exit code.

    `ready_fd` is the first child's. A child that ends by itself is left so until a file changes:
    most likely it cannot start with the files as they are.
    """
    return asyncio.run(_supervise([word for word in arguments if word != "--dev"], ready_fd))


async def _supervise(arguments: list[str], ready_fd: int | None) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    while True:
        seen = state(PACKAGE)
        child = await _start(arguments, ready_fd)
        loop.add_signal_handler(signal.SIGHUP, _send, child, signal.SIGHUP)
        if ready_fd is not None:
            os.close(ready_fd)
            arguments, ready_fd = _without_ready(arguments), None
        while not stopping.is_set() and state(PACKAGE) == seen:
            await _pause(stopping)
        _send(child, signal.SIGTERM)
        code = await child.wait()
        if stopping.is_set():
            return code
        sys.stderr.write("meshd: a file changed, starting again\n")


async def _start(arguments: list[str], ready_fd: int | None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "meshd", *arguments,
        pass_fds=() if ready_fd is None else (ready_fd,),
    )  # fmt: skip


def state(package: Path) -> State:
    """The watched files below a folder, as they are now."""
    found = {}
    for path in package.rglob("*"):
        if path.suffix in WATCHED:
            try:
                found[path] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # an editor replaces files; the next look sees the outcome
    return found


async def _pause(stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(EVERY):
            await stopping.wait()
    except TimeoutError:
        return


def _send(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if child.returncode is None:
        child.send_signal(number)


def _without_ready(arguments: list[str]) -> list[str]:
    """The arguments for later children: nobody waits for those."""
    kept, skip = [], False
    for word in arguments:
        if not skip and word != "--ready-fd" and not word.startswith("--ready-fd="):
            kept.append(word)
        skip = word == "--ready-fd"
    return kept
