"""`python -m tests.conformance [ERA [UPSTREAM]]`: the whole suite through the gateway.

Every pair of suite era and upstream, or those that are named. Exit status 1 when a scored scenario
fails that is not expected to, or one that is expected to passes.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.conformance.house import house
from tests.conformance.suite import ERAS, UPSTREAMS, expected, run
from tests.support.node_tools import node_tools


def main() -> int:
    """Run and print one line for each pair, and one for each surprise."""
    wanted = sys.argv[1:]
    eras = wanted[:1] or ERAS
    upstreams = wanted[1:2] or UPSTREAMS
    tools, surprises = node_tools(), 0
    with house() as (daemon, key), tempfile.TemporaryDirectory() as out:
        for era in eras:
            for upstream in upstreams:
                outcome = asyncio.run(run(daemon, tools, key, (era, upstream), Path(out)))
                passed, failed = outcome.checks
                print(f"{era}  {upstream:9}  {passed} checks passed, {failed} failed")
                if not outcome.scenarios:
                    print(outcome.said)
                    surprises += 1
                for name in sorted(outcome.failed ^ expected(era, upstream)):
                    what = "failed" if name in outcome.failed else "passed, but is expected to fail"
                    print(f"  {name} {what}")
                    surprises += 1
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
