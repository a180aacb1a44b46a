"""Starts: the daemon to its first served call, the commands, and the bridge; beside bare Python."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.client import HELLO, Client, message
from tests.bench.measure import timed
from tests.support.daemon import Daemon

BARE = (sys.executable, "-I", "-c", "pass")
COMMANDS = (("status", "--json"), ("status",), ("version",), ("key", "list"), ("--help",))


@dataclass(frozen=True)
class Start:
    """Medians: milliseconds, and multiples of a bare Python's start in the same round."""

    what: str
    times: float
    ms: float


def meshctl() -> tuple[str, ...]:
    """The installed command, else the module."""
    script = Path(sys.executable).with_name("meshctl")
    return (str(script),) if script.exists() else (sys.executable, "-m", "meshctl")


def commands(daemon: Daemon, rounds: int) -> list[Start]:
    """Every command of the budget, with the daemon running."""
    program = meshctl()
    lines = {" ".join(line): (*program, *line) for line in COMMANDS}
    turns = []
    for _ in range(rounds):
        took = {what: timed(line, daemon.environ) for what, line in lines.items()}
        took["stdio, until initialize is answered"] = _bridge(daemon)
        turns.append((timed(BARE, daemon.environ), took))
    bare = Start("python -I -c pass", 1.0, median(base for base, _ in turns))
    return [bare, *(_start(what, turns) for what in turns[0][1])]


def first_call(daemon: Daemon, connection: str, key: str, rounds: int) -> Start:
    """From the start of a daemon, which has served before, to an answered call. It runs after."""
    turns = []
    for _ in range(rounds):
        daemon.stop()
        base, began = timed(BARE, daemon.environ), time.perf_counter()
        daemon.start(program=True)
        client = Client(f"{daemon.url}/mcp/{connection}", key)
        client.once(client.call())
        turns.append((base, {"first call": (time.perf_counter() - began) * 1000}))
    return _start("first call", turns)


def _start(what: str, turns: list[tuple[float, dict[str, float]]]) -> Start:
    return Start(
        what, median(took[what] / base for base, took in turns), median(t[what] for _, t in turns)
    )


def _bridge(daemon: Daemon) -> float:
    """Milliseconds until a bridge answered `initialize`."""
    began = time.perf_counter()
    with subprocess.Popen(
        [*meshctl(), "stdio", "bench"],
        env=daemon.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as bridge:  # fmt: skip
        assert bridge.stdin is not None
        assert bridge.stdout is not None
        bridge.stdin.write(message("initialize", HELLO) + b"\n")
        bridge.stdin.flush()
        answer = bridge.stdout.readline()
        took = (time.perf_counter() - began) * 1000
        bridge.stdin.close()
        bridge.stdout.read()
    if b"serverInfo" not in answer:
        raise RuntimeError(f"the bridge answered {answer!r}")
    return took
