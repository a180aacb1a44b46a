"""`python -m tests.harness NAME [--seed N] [--full]`: prints numbers and PASS or FAIL.

Each run starts daemons of its own in homes of its own, and exits 1 on FAIL. Without `--full` it
is the short form that the suite runs; `all` is every one of them. A seed gives the same choices
again, not the same timing.

kill_storm   R01  writers of keys and connections while the daemon is killed again and again
busy         R09  another process holds the database's write lock
event_storm  R01  publishers and a receiver while the daemon is killed again and again
dedupe       R27  the same event a hundred times at once
pressure     R28  an org publishes at ten times its quota
power_cut    --   what is on the disk at each acknowledgement, replayed from the system calls
bit_flips    R31  one bit of the database or its log flips while no daemon runs
bad_child    R25  servers that exit, hang, flood stderr, fork and ignore SIGTERM
other_user   S01  another user knocks at the socket, also with its modes forced open (root only)
mutants      S24  damaged bodies on every path that takes one
floods       S27  idle and half-open connections, and who has a key among them
upstream_restarts  R17  an upstream goes and comes back under load, by itself or in a virtual MCP
many_clients --   clients with the same request ids, cancels and reconnects over one upstream
slow_readers R21  as many follow the events as the daemon lets in (1,000), some do not read
scaling      R06  one, two and four daemons on one Postgres share what is delivered
upkeep       --   the CPU of an idle daemon, and the size of a database under retention
timing       S07  how long answers take that must not tell whether something is there

What is shown by tests of the suite instead, below tests/meshd:

R03  services/test_bus_endurance.py  an hour of a target that is down, and who does not notice
R04  services/test_bus_flow.py       what each answer of a target means
R06  bus/test_queue.py               processes that race on one Postgres, no claim twice
R11  bus/test_cron.py                slots against an oracle, over changes of clocks and leap days
R15  services/test_bus_endurance.py  a hint that never comes costs a poll; the snapshot's in
                                     store/test_postgres_signals.py
R16  services/test_bus_endurance.py  what a stop cuts off; calls and signals in life/test_drain.py
R20  bus/test_simulation.py          order by key over crashes, pauses and failures; long lines of
                                     one key in bus/test_long_lines.py
R23  life/test_backup.py             events are published while the backup is made
R26  services/test_bus_endurance.py  many dead deliveries replayed once
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping

from tests.harness import (
    bad_child,
    bit_flips,
    busy,
    dedupe,
    event_storm,
    floods,
    kill_storm,
    many_clients,
    mutants,
    other_user,
    power_cut,
    pressure,
    scaling,
    slow_readers,
    timing,
    upkeep,
    upstream_restarts,
)
from tests.harness.outcome import Outcome

Run = Callable[..., Outcome]
RUNS: Mapping[str, Run] = {
    module.__name__.rpartition(".")[2]: module.run
    for module in (
        kill_storm,
        event_storm,
        dedupe,
        pressure,
        busy,
        power_cut,
        bit_flips,
        bad_child,
        other_user,
        mutants,
        floods,
        upstream_restarts,
        many_clients,
        slow_readers,
        scaling,
        timing,
        upkeep,
    )
}


def main() -> int:
    """Run what was asked for; the exit code."""
    parser = argparse.ArgumentParser(
        "python -m tests.harness", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("name", choices=[*RUNS, "all"])
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--full", action="store_true", help="the sizes of a release gate")
    asked = parser.parse_args()
    names = list(RUNS) if asked.name == "all" else [asked.name]
    return max(_run(name, asked.seed, full=asked.full) for name in names)


def _run(name: str, seed: int, *, full: bool) -> int:
    began = time.monotonic()
    found = RUNS[name](seed, full=full)
    took = time.monotonic() - began
    verdict = "FAIL" if found.failures else "PASS"
    print(f"{name} seed={seed} duration={took:.1f}s\n{found.text()}\n{verdict}", flush=True)
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
