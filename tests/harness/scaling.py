"""R06: several daemons on one Postgres share the deliveries, and two are faster than one.

Each daemon has so many attempts under way for a subscription, and the receiver takes its time over
each of them: what is measured is what daemons add, not what the machine's cores do.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import asyncpg

from tests.harness.outcome import Outcome
from tests.support.daemon import Daemon
from tests.support.postgres import Postgres, running
from tests.support.wait import until

BATCH = "application/cloudevents-batch+json"
TAKES = 0.25
"""Seconds that the receiver takes over one event."""
DELIVERED = 60.0
FASTER = {2: 1.3, 4: 2.0}
"""How much faster so many daemons have to be than one, at least; a gate of the full form."""
SHARES = {2: (0.3, 0.7), 4: (0.15, 0.35)}
"""What each of so many has to do."""
SOME = 0.1
"""What each has to do in the short form, which is over before all have found their pace."""


def run(seed: int, *, full: bool) -> Outcome:
    """1, 2 and 4 daemons with 800 deliveries; the short form 1 and 2 with 48."""
    found, rates = Outcome(), dict[int, float]()
    with running(uuid4().hex) as server, _receiver() as (url, seen):
        for daemons in (1, 2, 4) if full else (1, 2):
            seen.clear()
            rate, shares, twice = _one(server, url, seen, daemons, 800 if full else 48)
            rates[daemons] = rate
            found.expect(rate, f"{daemons} daemons did not deliver everything")
            found.expect(not twice, f"{daemons} daemons: {twice} attempts were made twice")
            found.numbers[f"{daemons} daemons"] = (
                f"{rate:.0f} deliveries/s, {rate / (rates[1] or 1):.1f} times one, shares "
                + " ".join(f"{share:.0%}" for share in shares)
            )
            if daemons == 1:
                continue
            low, high = SHARES[daemons] if full else (SOME, 1 - SOME)
            fair = len(shares) == daemons and all(low <= share <= high for share in shares)
            found.expect(fair, f"{daemons} daemons did {[round(one, 2) for one in shares]}")
            faster = rate >= FASTER[daemons] * rates[1]
            found.expect(
                not full or faster, f"{daemons} daemons were {rate / (rates[1] or 1):.1f} times one"
            )
    return found


def _one(
    server: Postgres, url: str, seen: Counter[str], many: int, deliveries: int
) -> tuple[float, list[float], int]:
    """Deliveries a second, the share of each daemon, and how many came twice."""
    with ExitStack() as stack:
        env = {"DATABASE_URL": stack.enter_context(server.schema())}
        daemons: list[Daemon] = []
        for _ in range(many):
            if daemons:
                master = daemons[0].home / "keys" / "master.key"
                env["MESHCTL_MASTER_KEY"] = master.read_text().strip()
            made = Daemon.fresh(**env)
            stack.callback(made.remove)
            daemons.append(made.start())
        first = daemons[0]
        body = {"types": ["scale"], "webhook": url, "name": "slow"}
        first.control("POST", "/v1/webhook-subscriptions", body)
        key = first.add_key("publisher", "self/event.publish")
        for daemon in daemons:  # what one made, the others know within a second
            until(lambda one=daemon: one.tcp("GET", "/v1/unknown", key=key).status == 404)
        began = time.monotonic()
        for at in range(0, deliveries, 100):
            batch = [{"specversion": "1.0", "type": "scale"}] * min(100, deliveries - at)
            said = first.tcp("POST", "/events/default", batch, key=key, Content_Type=BATCH)
            assert said.status == 200, said.body
        while len(seen) < deliveries and time.monotonic() - began < DELIVERED:
            time.sleep(0.02)
        took = time.monotonic() - began
        shares = asyncio.run(_by_daemon(env["DATABASE_URL"], deliveries))
    rate = deliveries / took if len(seen) == deliveries else 0.0
    return rate, shares, sum(seen.values()) - len(seen)


async def _by_daemon(dsn: str, deliveries: int) -> list[float]:
    """The share of each daemon, once every attempt is written."""
    link = await asyncpg.connect(dsn)
    try:
        end = time.monotonic() + DELIVERED
        while True:
            rows = await link.fetch("SELECT COUNT(*) AS n FROM delivery_attempts GROUP BY daemon")
            if sum(row["n"] for row in rows) >= deliveries or time.monotonic() >= end:
                return sorted(row["n"] / deliveries for row in rows)
            await asyncio.sleep(0.05)
    finally:
        await link.close()


@contextmanager
def _receiver() -> Iterator[tuple[str, Counter[str]]]:
    """A webhook's URL, and how often each delivery came there."""
    seen = Counter[str]()

    class Taking(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(TAKES)
            seen[self.headers["webhook-id"]] += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
