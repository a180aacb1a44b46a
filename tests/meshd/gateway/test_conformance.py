"""A few scenarios of the official conformance suite, through every pair of eras.

The whole suite is `python -m tests.conformance`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.house import house
from tests.conformance.suite import run
from tests.support.daemon import Daemon
from tests.support.node_tools import NodeTools, node_tools

pytestmark = pytest.mark.timeout(600)  # the first run ever installs

SCENARIOS = {
    "2025-11-25": ("server-initialize", "tools-call-elicitation"),
    "2026-07-28": ("server-stateless", "input-required-result-multi-round"),
}


@pytest.fixture(scope="module")
def tools() -> NodeTools:
    return node_tools()


@pytest.fixture(scope="module")
def serving() -> Iterator[tuple[Daemon, str]]:
    with house() as made:
        yield made


@pytest.mark.parametrize("upstream", ["handshake", "stateless", "stdio"])
@pytest.mark.parametrize("era", list(SCENARIOS))
async def test_scenarios(
    serving: tuple[Daemon, str], tools: NodeTools, tmp_path: Path, era: str, upstream: str
) -> None:
    """Every check passes."""
    daemon, key = serving
    outcome = await run(daemon, tools, key, (era, upstream), tmp_path, *SCENARIOS[era])
    assert outcome.failed == set(), outcome.said
    assert all(passed for passed, _ in outcome.scenarios.values()), outcome.said
