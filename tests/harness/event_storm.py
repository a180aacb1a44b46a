"""R01 with events: publishers, a receiver, and a daemon that is killed in the middle of it.

Every acknowledgement is in a file, synced, before the next event is sent: the oracle. After the last
restart each of them has to be delivered, and what is delivered twice was on its way at a kill.
"""

import http.client
import json
import os
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tests.harness.kill_storm import is_intact
from tests.harness.outcome import Outcome, percentile
from tests.support.daemon import Daemon
from tests.support.upstream import Upstream, answer, upstream

PUBLISHERS = 4
DELIVERED = 60.0
"""Seconds from the last restart to the last delivery."""
START_GATE = 3.0
"""Seconds from a restart to its first acknowledgement; a gate of the full form."""
TWICE = 0.05
"""Share of events that may be delivered twice; a gate of the full form."""


class Oracle:
    """Acknowledged ids, in memory and in a file that is synced line by line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self.acknowledged: set[str] = set()

    def note(self, event: str) -> None:
        """Remember one, for good."""
        with self._lock:
            self._file.write(event + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self.acknowledged.add(event)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def run(seed: int, *, full: bool) -> Outcome:
    """Kill 50 times at gaps of 0.2 to 5 s; the short form 3 times at gaps under half a second."""
    kills, longest = (50, 5.0) if full else (3, 0.5)
    found, chance = Outcome(), random.Random(seed)
    daemon, folder = Daemon.fresh(), Path(tempfile.mkdtemp(prefix="events-"))
    oracle, first_acks, intact = Oracle(folder / "acks"), [], 0
    try:
        with upstream() as receiver:
            receiver.replies[""] = answer(b"", status="204 No Content")
            daemon.start()
            body = {"types": ["storm"], "webhook": receiver.url}
            daemon.control("POST", "/v1/webhook-subscriptions", body)
            for number in range(kills):
                threads = [
                    threading.Thread(target=_publish, args=(daemon, oracle, f"{number}-{at}"))
                    for at in range(PUBLISHERS)
                ]
                for thread in threads:
                    thread.start()
                time.sleep(chance.uniform(0.2, longest))
                daemon.kill()
                for thread in threads:
                    thread.join()
                intact += is_intact(daemon.home / "data" / "mesh.db", folder)
                began = time.monotonic()
                daemon.start()
                daemon.control("POST", "/v1/events", {"type": "storm", "id": f"first-{number}"})
                oracle.note(f"first-{number}")
                first_acks.append(time.monotonic() - began)
            took = _delivered(receiver, oracle.acknowledged)
            counts = Counter(json.loads(seen.body)["id"] for seen in list(receiver.seen))
    finally:
        oracle.close()
        daemon.remove()
        shutil.rmtree(folder)
    lost = oracle.acknowledged - counts.keys()
    twice = [event for event, count in counts.items() if count > 1]
    found.expect(not lost, f"acknowledged and not delivered: {sorted(lost)[:5]}")
    found.expect(intact == kills, f"the database was intact {intact} times of {kills}")
    found.expect(not full or max(first_acks) <= START_GATE, "a restart took too long")
    found.expect(not full or len(twice) <= TWICE * len(counts), f"{len(twice)} delivered twice")
    found.numbers |= {
        "kills": kills, "acknowledged": len(oracle.acknowledged), "delivered": len(counts),
        "delivered twice": len(twice), "integrity ok": f"{intact}/{kills}",
        "last delivery after the last restart": f"{took:.1f} s",
        "restart to first ack, median and worst": f"{percentile(first_acks, 0.5):.2f} s, "
        f"{max(first_acks):.2f} s",
    }  # fmt: skip
    return found


def _publish(daemon: Daemon, oracle: Oracle, name: str) -> None:
    """One event after the other, until a connection breaks."""
    number = 0
    while True:
        number += 1
        event = f"{name}-{number}"
        try:
            answered = daemon.ask("POST", "/v1/events", {"type": "storm", "id": event})
        except (OSError, http.client.HTTPException):
            return
        if answered.status == 200:
            oracle.note(event)


def _delivered(receiver: Upstream, wanted: set[str]) -> float:
    """Seconds until all have been delivered, or `DELIVERED`."""
    began = time.monotonic()
    while time.monotonic() - began < DELIVERED:
        if wanted <= {json.loads(seen.body)["id"] for seen in list(receiver.seen)}:
            break
        time.sleep(0.1)
    return time.monotonic() - began
