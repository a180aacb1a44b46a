"""R25: servers that exit, hang, flood stderr, fork and ignore SIGTERM, all behind one daemon.

The daemon serves a good one meanwhile. Nothing of the bad ones stays: no zombie, no process after
the daemon's end in order or by SIGKILL, no log that grows with what they write.
"""

import http.client
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.harness.outcome import Outcome
from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.processes import lives, zombies
from tests.support.wait import until

MIB = 1024 * 1024
NOTE = (
    "import os,sys,signal,time; f=open(sys.argv[1],'a'); f.write(f'{os.getpid()}\\n'); f.flush()\n"
)
BAD = {
    "exits": NOTE + "sys.exit('no')",
    "hangs": NOTE + "time.sleep(600)",
    "floods": NOTE
    + "block = b'stderr ' * 9362\nfor _ in range(int(sys.argv[2]) * 16): os.write(2, block)\n"
    + "sys.stdin.readline()",
    "forks": NOTE
    + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nif os.fork() == 0:\n"
    + " f.write(f'{os.getpid()}\\n'); f.flush()\nwhile True: time.sleep(600)",
}
"""Programs that note each process of theirs in the file `argv[1]`; none ever answers."""
CALLS = 40
"""Calls to each server that ends, one after the other."""
MOST_STARTS = 6
"""Starts of a server within the run: back-off is 1, 2, 4 … seconds."""
GROWTH = 50
"""MiB by which the daemon may grow."""


def run(seed: int, *, full: bool) -> Outcome:
    """100 MB on stderr, and a server that hangs for its whole deadline; the short form 5 MB.

    The seed changes nothing here.
    """
    found, noted = Outcome(), Path(tempfile.mkdtemp(prefix="bad-"))
    daemon = Daemon.fresh()
    kinds = list(BAD) if full else ["exits", "floods"]
    try:
        daemon.start()
        daemon.connect("good", *stdio_server.command())
        pids = _stubborn(daemon) if full else set[int]()  # its end takes five seconds
        key = daemon.add_key("caller")
        before = daemon.control("GET", "/v1/daemon")["rss_bytes"]
        for kind in kinds:
            command = (sys.executable, "-I", "-S", "-c", BAD[kind], str(noted / kind))
            with suppress(TimeoutError):  # one that hangs is waited for as long as a start may take
                daemon.connect(kind, *command, "100" if full else "5")
        good = _call_all(daemon, key)
        grown = (daemon.control("GET", "/v1/daemon")["rss_bytes"] - before) / MIB
        starts = {kind: len((noted / kind).read_text().split()) for kind in kinds}
        logged = sum(path.stat().st_size for path in (daemon.home / "logs").iterdir())
        until(lambda: zombies(daemon.pid) == [], 60)
        pids |= _noted(noted)
        daemon.stop()
        left = [pid for pid in pids if lives(pid)]
        found.expect(not left, f"alive after the daemon's end: {left}")
        daemon.start()
        killed = _stubborn(daemon) | _noted(noted)
        daemon.kill()
        _all_gone(found, killed, "after kill -9 of the daemon")
        found.expect(good == CALLS, f"the good server answered {good} of {CALLS}")
        found.expect(grown <= GROWTH, f"the daemon grew by {grown:.0f} MiB")
        found.expect(logged < MIB, f"the log has {logged} bytes")
        for kind, count in starts.items():
            found.expect(count <= MOST_STARTS, f"{kind} was started {count} times")
        found.numbers |= {"starts": starts, "RSS growth": f"{grown:.1f} MiB", "log": f"{logged} B",
                          "processes that had to go": len(pids | killed)}  # fmt: skip
    finally:
        for pid in _noted(noted):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        daemon.remove()
        shutil.rmtree(noted)
    return found


def _stubborn(daemon: Daemon) -> set[int]:
    """The pids of a server that answers, forks and ignores SIGTERM."""
    names = {row["name"] for row in daemon.control("GET", "/v1/connections")}
    if "stubborn" not in names:
        daemon.connect("stubborn", *stdio_server.command("stubborn"))
    made = daemon.control("POST", "/v1/connections/stubborn/tools/pids/call")
    return {int(pid) for pid in made["result"]["structuredContent"]["value"]}


def _call_all(daemon: Daemon, key: str) -> int:
    """How often the good one answered, between calls of the bad ones that end soon."""
    good = 0
    params = {"name": "echo", "arguments": {}}
    for _ in range(CALLS):
        for kind in ("exits", "floods"):
            with suppress(OSError, http.client.HTTPException):
                daemon.rpc(kind, "tools/call", params, key=key)
        good += "result" in daemon.rpc("good", "tools/call", params, key=key).json()
    return good


def _noted(folder: Path) -> set[int]:
    return {int(pid) for path in folder.iterdir() for pid in path.read_text().split()}


def _all_gone(found: Outcome, pids: set[int], when: str) -> None:
    end = time.monotonic() + 15
    while (left := [pid for pid in pids if lives(pid)]) and time.monotonic() < end:
        time.sleep(0.05)
    found.expect(not left, f"alive {when}: {left}")
