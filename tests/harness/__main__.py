"""`python -m tests.harness NAME [--seed N] [--full]`: prints numbers and PASS or FAIL.

Each run starts daemons of its own in homes of its own, and exits 1 on FAIL. Without `--full` it
is the short form that the suite runs; `all` is every one of them. A seed gives the same choices
again, not the same timing.

kill_storm   R01  writers of keys and connections while the daemon is killed again and again
busy         R09  another process holds the database's write lock
event_storm  R01  publishers and a receiver while the daemon is killed again and again
dedupe       R27  the same event a hundred times at once
power_cut    --   what is on the disk at each acknowledgement, replayed from the system calls
bit_flips    R31  one bit of the database or its log flips while no daemon runs
bad_child    R25  servers that exit, hang, flood stderr, fork and ignore SIGTERM
other_user   S01  another user knocks at the socket, also with its modes forced open (root only)
mutants      S24  damaged bodies on every path that takes one
floods       S27  idle and half-open connections, and who has a key among them
upstream_restarts  R17  an upstream goes and comes back under load
many_clients --   clients with the same request ids, cancels and reconnects over one upstream
timing       S07  how long answers take that must not tell whether something is there
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
    timing,
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
        busy,
        power_cut,
        bit_flips,
        bad_child,
        other_user,
        mutants,
        floods,
        upstream_restarts,
        many_clients,
        timing,
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
