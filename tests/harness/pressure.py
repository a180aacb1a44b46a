"""R28: an org that publishes at ten times its quota is told to come back; nobody else notices.

The full form goes on for 5 minutes and looks at the daemon's memory; the short form for 2 seconds.
"""

import threading
import time
from collections import Counter
from pathlib import Path

from tests.harness.outcome import Outcome, percentile
from tests.support.daemon import Daemon

QUOTA = 40
PUSHERS = 8
NEAR = 0.05
"""How far from the quota the accepted rate may be; a gate of the full form."""
GROWTH = 100 * 1024
"""KiB of memory; a gate of the full form."""


def run(seed: int, *, full: bool) -> Outcome:
    """Push, and publish an event of another org now and then."""
    found, seconds = Outcome(), 300.0 if full else 2.0
    daemon = Daemon.fresh(MESHCTL_PUBLISH_RATE=str(QUOTA))
    try:
        daemon.start()
        key = daemon.add_key("pusher", "self/event.publish")
        other = daemon.control("POST", "/v1/orgs", {"name": "other"})["id"]
        before = resident(daemon)
        start = time.monotonic()
        end = start + seconds
        statuses, patient, others = Counter[int](), Counter[bool](), list[float]()
        threads = [
            threading.Thread(target=_push, args=(daemon, key, end, statuses, patient))
            for _ in range(PUSHERS)
        ]
        for thread in threads:
            thread.start()
        wrong = 0
        while time.monotonic() < end:
            began = time.monotonic()
            said = daemon.ask("POST", "/v1/events", {"type": "theirs"}, Meshctl_Org=other)
            others.append(time.monotonic() - began)
            wrong += said.status != 200
            time.sleep(0.1)
        for thread in threads:
            thread.join()
        took = time.monotonic() - start
        grown = resident(daemon) - before
    finally:
        daemon.remove()
    rate = statuses[200] / took
    pushed = sum(statuses.values()) / took
    found.expect(statuses.keys() <= {200, 429}, f"answered {dict(statuses)}")
    found.expect(statuses[429] > 0, "the quota held nobody back")
    found.expect(not patient[False], "a 429 did not say when to come back")
    found.expect(not wrong, f"{wrong} events of the other org were refused")
    burst = QUOTA / took  # what a full bucket gives at the start
    found.expect(rate <= (QUOTA + burst) * (1 + NEAR), f"{rate:.0f} a second were accepted")
    if full:
        found.expect(rate >= QUOTA * (1 - NEAR), f"only {rate:.0f} a second were accepted")
        found.expect(pushed >= 10 * QUOTA, f"only {pushed:.0f} a second were pushed")
        found.expect(grown <= GROWTH, f"memory grew by {grown >> 10} MiB")
    found.numbers |= {
        "pushed a second": round(pushed), "accepted a second": f"{rate:.1f} of {QUOTA}",
        "the other org's median and p99": f"{percentile(others, 0.5) * 1000:.0f} ms, "
        f"{percentile(others, 0.99) * 1000:.0f} ms",
        "memory": f"{grown / 1024:+.1f} MiB",
    }  # fmt: skip
    return found


def _push(
    daemon: Daemon, key: str, end: float, statuses: Counter[int], patient: Counter[bool]
) -> None:
    mine, said = Counter[int](), Counter[bool]()
    while time.monotonic() < end:
        answered = daemon.tcp("POST", "/v1/events", {"type": "pushed"}, key=key)
        mine[answered.status] += 1
        if answered.status == 429:
            said[int(answered.headers.get("retry-after", 0)) >= 1] += 1
    statuses.update(mine)
    patient.update(said)


def resident(daemon: Daemon) -> int:
    """The memory of a daemon in KiB; 0 where there is no /proc."""
    try:
        text = Path(f"/proc/{daemon.pid}/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS"))
