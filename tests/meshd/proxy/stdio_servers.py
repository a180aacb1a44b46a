"""MCP servers to run as child processes, and how the tests learn that a process is gone.

The server answers one method per behaviour that a test needs; it knows only the standard library,
so that it starts at once.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from meshd.core.secret import Secret
from meshd.proxy.child import Command

SERVER = r"""
import json, os, random, sys, time

VERSION = sys.argv[1] if len(sys.argv) > 1 else "2025-11-25"
told, cancelled, answers, shuffled = [], [], [], []
out = sys.stdout


def send(message):
    out.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    out.flush()


def handle(line):
    message = json.loads(line)
    method, number, params = message.get("method"), message.get("id"), message.get("params", {})
    if method is None:
        return answers.append(message)
    if number is None:
        told.append(method)
        if method == "notifications/cancelled":
            cancelled.append(params["requestId"])
        return
    result = {}
    if method == "initialize":
        result = {"protocolVersion": VERSION, "capabilities": {}, "got": params,
                  "serverInfo": {"name": "t", "version": "1"}}
    elif method == "line":
        result = {"line": line}
    elif method == "shuffle":
        shuffled.append((number, params["n"]))
        if len(shuffled) == params["of"]:
            random.shuffle(shuffled)
            for number, n in shuffled:
                send({"id": number, "result": {"n": n}})
        return
    elif method == "progress":
        token = params["_meta"]["progressToken"]
        for step in params["steps"]:
            send({"method": "notifications/progress",
                  "params": {"progressToken": token, "progress": step, "x": {"y": [1.0]}}})
        result = {"token": token}
    elif method == "hang":
        return
    elif method == "seen":
        result = {"cancelled": cancelled, "answers": answers, "told": told}
    elif method == "die":
        sys.stderr.write("the disk\nis \x1b[31mfull\n")
        sys.exit(3)
    elif method == "flood":
        block = b"e" * 127 + b"\n"
        for _ in range(100):
            sys.stderr.buffer.write(block * 8192)
        sys.stderr.flush()
    elif method == "raw":
        out.buffer.write(params["text"].encode("latin-1") * params.get("times", 1))
        out.flush()
        if params.get("silent"):
            return
    elif method == "deaf":
        send({"id": number, "result": {}})
        time.sleep(600)
    elif method == "mute":
        os.close(params["descriptor"])
        time.sleep(600)
    elif method == "fail":
        return send({"id": number, "error": {"code": 7, "message": "no", "data": [1.0]}})
    send({"id": number, "result": result})


for line in iter(sys.stdin.readline, ""):
    handle(line)
"""

STUBBORN = r"""
import os, signal, sys, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
lifeline = sys.argv[1]
if os.fork() == 0:
    lifeline += ".grandchild"
with open(lifeline, "w") as line:
    line.write(f"{os.getpid()}\n")
    line.flush()
    while True:
        time.sleep(600)
"""
"""Ignores SIGTERM and its stdin, and so does the child that it forks."""


def server(
    folder: Path, *arguments: str, source: str = SERVER, env: Mapping[str, str] | None = None
) -> Command:
    """A command that runs `source`, isolated and without site packages for speed."""
    script = folder / "server.py"
    script.write_text(source)
    secrets = {name: Secret(value) for name, value in (env or {}).items()}
    return Command((sys.executable, "-I", "-S", str(script), *arguments), secrets)


class Lifeline:
    """A named pipe that a process opens and holds: the system closes it when the process ends."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._pid = 0
        self._file: FileIO | None = None

    async def holder(self) -> int:
        """The pid of the process, once it runs."""
        self._file = await asyncio.to_thread(self.path.open, "rb", 0)
        self._pid = int(await asyncio.to_thread(self._file.readline))
        return self._pid

    async def gone(self) -> None:
        """Return when the process has ended.

        Raises:
            TimeoutError: it still runs.
        """
        async with asyncio.timeout(60):
            await asyncio.to_thread(self._file.read)
        self._pid = 0

    def cut(self) -> None:
        """Kill the process if it is still there."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
        if self._file is not None:
            self._file.close()


@contextmanager
def lifelines(folder: Path) -> Iterator[tuple[Lifeline, Lifeline]]:
    """Those of `STUBBORN` and of its child; the first one's path is the script's argument."""
    pair = Lifeline(folder / "line"), Lifeline(folder / "line.grandchild")
    try:
        yield pair
    finally:
        for line in pair:
            line.cut()


@contextmanager
def quiet_loop() -> Iterator[None]:
    """Fail when a callback of the running event loop raised: the loop itself only logs it."""
    loop = asyncio.get_running_loop()
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    yield
    assert faults == []
