"""A stdio connection: calls through the daemon beside the same calls on the child's own pipes."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import load
from tests.bench.client import ECHO, Asked, message
from tests.bench.measure import Meter

CHILD = (sys.executable, str(Path(__file__).with_name("child.py")))
CALLERS = (1, 16)


@dataclass(frozen=True)
class StdioRow:
    """Medians of the rounds. `share` is of the bare pipes, with as many calls under way."""

    callers: int
    share: float
    rate: float
    pipes_rate: float
    cpu_ms: float | None
    errors: int


def rows(asked: Asked, pid: int, seconds: float, rounds: int) -> list[StdioRow]:
    """`asked` is a call of the echo tool through the daemon, whose process is `pid`."""
    return [_row(asked, pid, callers, seconds, rounds) for callers in CALLERS]


def _row(asked: Asked, pid: int, callers: int, seconds: float, rounds: int) -> StdioRow:
    rates, shares, pipes, cpu, errors = [], [], [], [], 0
    for _ in range(rounds):
        bare = _pipes(callers, seconds)
        meter = Meter(pid)
        done = load.for_seconds(asked, callers, seconds)
        used = meter.ms_per(done.calls)
        rates.append(done.rate)
        shares.append(done.rate / bare)
        pipes.append(bare)
        errors += done.errors
        if used is not None:
            cpu.append(used)
    return StdioRow(
        callers, median(shares), median(rates), median(pipes), median(cpu) if cpu else None, errors
    )


def _pipes(callers: int, seconds: float) -> float:
    """Calls a second of a child that is spoken to without anything between."""
    line = message("tools/call", ECHO) + b"\n"
    with subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(line * callers)
        child.stdin.flush()
        calls, began = 0, time.perf_counter()
        while (took := time.perf_counter() - began) < seconds:
            child.stdout.readline()
            child.stdin.write(line)
            child.stdin.flush()
            calls += 1
        child.stdin.close()
        child.stdout.read()
    return calls / took
