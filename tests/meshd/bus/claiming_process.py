"""Claims deliveries of org argv[3], subscription argv[4], on database argv[2], at moment argv[5].

Ends them, and prints each claim: id, attempt, fence. Each first attempt fails, so that it is claimed
again.
"""

import asyncio
import sys
from dataclasses import dataclass

from meshd.bus.queue import Claim, Ended, Queue
from meshd.bus.retry import Next, Outcome
from meshd.core.config import read_config
from meshd.store.opening import open_databases
from meshd.wire.ids import new_id


def _ended(claim: Claim, now: int) -> Ended:
    if claim.attempt == 1:
        return Ended(claim, Outcome("failed", "x"), Next("ready", now, claim.attempt), now, 1)
    return Ended(claim, Outcome("delivered"), Next("done", None, claim.attempt), now, 1)


@dataclass
class Still:
    """A clock of the test's own time, which stands still."""

    moment: int

    def now(self) -> int:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


async def main(home: str, url: str, org: str, subscription: str, moment: str) -> None:
    async with open_databases(read_config({"MESHCTL_HOME": home, "DATABASE_URL": url})) as found:
        clock = Still(int(moment))
        queue = Queue(found.main, clock, new_id("run"))
        print("ready", flush=True)
        sys.stdin.readline()
        while claims := await queue.claim(org, {subscription: 7}):
            for claim in claims:
                print(claim.id, claim.attempt, claim.fence)
            lost = await queue.end([_ended(claim, clock.now()) for claim in claims])
            if lost:
                print("lost", lost, "-")


asyncio.run(main(*sys.argv[1:6]))
