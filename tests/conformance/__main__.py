"""`python -m tests.conformance [--client] [ERA [OTHER]]`: the whole suite through the gateway.

Every pair of suite era and upstream, or those that are named. With `--client` the scenarios that
look at a client, the gateway being that: every pair of suite era and how the gateway itself is
spoken to. Exit status 1 when a scored scenario fails that is not expected to, or one that is
expected to passes.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.conformance import clients
from tests.conformance.house import house
from tests.conformance.suite import ERAS, UPSTREAMS, Outcome, expected, run
from tests.support.daemon import Daemon
from tests.support.node_tools import node_tools


def main() -> int:
    """Run and print one line for each pair, and one for each surprise."""
    wanted = [word for word in sys.argv[1:] if word != "--client"]
    as_client = len(wanted) < len(sys.argv[1:])
    eras = wanted[:1] or list(ERAS)
    surprises = _as_client(eras, wanted[1:2]) if as_client else _as_server(eras, wanted[1:2])
    return 1 if surprises else 0


def _as_server(eras: list[str], upstreams: list[str]) -> int:
    """How many surprises there were."""
    tools, surprises = node_tools(), 0
    with house() as (daemon, key), tempfile.TemporaryDirectory() as out:
        for era in eras:
            for upstream in upstreams or UPSTREAMS:
                outcome = asyncio.run(run(daemon, tools, key, (era, upstream), Path(out)))
                surprises += _told(era, upstream, outcome)
    return surprises


def _as_client(eras: list[str], modes: list[str]) -> int:
    """How many surprises there were."""
    tools, surprises, daemon = node_tools(), 0, Daemon.fresh()
    try:
        daemon.start()
        key = daemon.add_key("conformance")
        for era in eras:
            names, oauth = asyncio.run(clients.scenarios(tools, era))
            for mode in modes or clients.MODES:
                with tempfile.TemporaryDirectory() as out:
                    outcome = asyncio.run(
                        clients.run(daemon, tools, key, (era, mode), Path(out), *names)
                    )
                surprises += _told(era, f"through-{mode}", outcome)
            print(f"{era}  not applicable: {len(oauth)} scenarios of OAuth at an upstream")
    finally:
        daemon.remove()
    return surprises


def _told(era: str, other: str, outcome: Outcome) -> int:
    passed, failed = outcome.checks
    print(f"{era}  {other:18}  {passed} checks passed, {failed} failed", flush=True)
    if not outcome.scenarios:
        print(outcome.said)
        return 1
    surprising = sorted(outcome.failed ^ expected(era, other))
    for name in surprising:
        what = "failed" if name in outcome.failed else "passed, but is expected to fail"
        print(f"  {name} {what}")
    return len(surprising)


if __name__ == "__main__":
    sys.exit(main())
