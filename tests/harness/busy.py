"""R09: another process holds the database's write lock, for a while and for too long."""

import http.client
import itertools
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.harness.outcome import Outcome, percentile
from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon
from tests.support.launched import impatient
from tests.support.wait import until

WRITERS = 4
STALL = 0.2
"""Seconds without an answer of `/health` that a full run takes for a stall of the event loop."""
HOLDER = """
import sqlite3, sys
link = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
link.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
link.execute("ROLLBACK")
"""


@dataclass
class Phase:
    """What was answered while the lock was held, and until all answers were there."""

    statuses: list[int] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    vague: list[str] = field(default_factory=list)
    calls: int = 0
    broken: int = 0
    waits: list[float] = field(default_factory=list)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """The write lock of a database, in the hand of another process."""
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.stdin.close()


def run(seed: int, *, full: bool) -> Outcome:
    """Hold it for 1, 4, 8 and 30 s; the short form for less than its patience, and for more.

    The seed changes nothing here.
    """
    patience = 5.0 if full else 1.0
    found, everything = Outcome(), Phase()
    daemon = Daemon.fresh()
    try:
        daemon.start(prefix=() if full else impatient(patience))
        daemon.connect("stand-in", *stdio_server.command())
        key = daemon.add_key("caller")
        for seconds in (1.0, 4.0, 8.0, 30.0) if full else (0.2, 1.5):
            phase = _hold(daemon, key, seconds, patience)
            _judge(found, phase, seconds, patience, full=full)
            everything.made |= phase.made
            everything.refused += phase.refused
        names = {row["name"] for row in daemon.control("GET", "/v1/keys")}
        found.expect(everything.made.keys() <= names, "an acknowledged key is lost")
        found.expect(not names & {*everything.refused}, "a refused key is there")
        log = (daemon.home / "logs/meshd.log").read_text()
        stalls = [line for line in log.splitlines() if "stood still" in line]
        found.expect(not stalls, f"the event loop stood still: {stalls[:1]}")
    finally:
        daemon.remove()
    return found


def _hold(daemon: Daemon, key: str, seconds: float, patience: float) -> Phase:
    """Hold it so long, and where that is beyond patience until somebody was refused."""
    phase, over = Phase(), threading.Event()
    label = f"h{str(seconds).replace('.', '-')}"
    threads = [_repeat(over, _writing(daemon, phase, f"{label}-{at}")) for at in range(WRITERS)]
    threads += [_repeat(over, partial(_call, daemon, phase, key))]
    threads += [_repeat(over, partial(_beat, daemon, phase))]
    with ExitStack() as stack:
        stack.enter_context(held(daemon.home / "data" / "mesh.db"))
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        with suppress(AssertionError):
            until(lambda: phase.refused or seconds < patience)
        stack.close()
        over.set()
        for thread in threads:
            thread.join()
    return phase


def _writing(daemon: Daemon, phase: Phase, name: str) -> Callable[[], None]:
    numbers = itertools.count()
    return lambda: _write(daemon, phase, f"{name}-{next(numbers)}")


def _repeat(over: threading.Event, act: Callable[[], None]) -> threading.Thread:
    def loop() -> None:
        while not over.is_set():
            act()

    return threading.Thread(target=loop)


def _write(daemon: Daemon, phase: Phase, name: str) -> None:
    answer = daemon.ask("POST", "/v1/keys", {"name": name})
    phase.statuses.append(answer.status)
    if answer.status == 200:
        phase.made[name] = answer.json()["key"]
    elif _says_when(answer):
        phase.refused.append(name)
    else:
        phase.vague.append(f"{answer.status} {answer.headers} {answer.body!r:.200}")


def _says_when(answer: Answer) -> bool:
    again = answer.headers.get("retry-after", "")
    return (
        answer.status == 503
        and re.fullmatch(r"[1-9]\d*", again) is not None
        and answer.json()["error"]["code"] == "unavailable"
    )


def _call(daemon: Daemon, phase: Phase, key: str) -> None:
    params = {"name": "echo", "arguments": {"mark": "m"}}
    try:
        done = daemon.rpc("stand-in", "tools/call", params, key=key).status == 200
    except (OSError, http.client.HTTPException):
        done = False
    phase.calls += done
    phase.broken += not done


def _beat(daemon: Daemon, phase: Phase) -> None:
    began = time.monotonic()
    daemon.tcp("GET", "/health")
    phase.waits.append(time.monotonic() - began)
    time.sleep(0.02)


def _judge(found: Outcome, phase: Phase, seconds: float, patience: float, *, full: bool) -> None:
    worst = max(phase.waits)
    found.numbers[f"held {seconds:g} s of {patience:g} s"] = (
        f"{len(phase.made)} written, {len(phase.refused)} refused with Retry-After, "
        f"{phase.calls} calls, /health p99 {percentile(phase.waits, 0.99) * 1000:.0f} ms, "
        f"worst {worst * 1000:.0f} ms"
    )
    found.expect(not phase.vague, f"neither done nor 503 with Retry-After: {phase.vague[:1]}")
    if seconds < patience:
        found.expect(not phase.refused, f"a lock of {seconds:g} s was seen by clients")
        found.expect(phase.made, "nothing was written when the lock was free again")
    else:
        found.expect(phase.refused, f"a lock of {seconds:g} s refused nobody")
    found.expect(phase.calls > 2 and not phase.broken, "calls did not go on")
    found.expect(not full or worst <= STALL, f"the event loop stalled for {worst:.3f} s")
