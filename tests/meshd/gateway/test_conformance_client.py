"""Client scenarios of the official conformance suite, with the gateway as the client.

All of them are `python -m tests.conformance --client`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import clients
from tests.support.daemon import Daemon
from tests.support.node_tools import NodeTools, node_tools

pytestmark = pytest.mark.timeout(600)  # the first run ever installs


@pytest.fixture(scope="module")
def tools() -> NodeTools:
    return node_tools()


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Daemon, str]]:
    daemon = Daemon.fresh()
    daemon.start()
    yield daemon, daemon.add_key("conformance")
    daemon.remove()


@pytest.mark.parametrize(
    ("era", "mode", "scenario"),
    [
        ("2025-11-25", "legacy", "sse-retry"),
        ("2025-11-25", "2026-07-28", "sse-retry"),
        ("2025-11-25", "2026-07-28", "elicitation-sep1034-client-defaults"),
        ("2026-07-28", "legacy", "http-invalid-tool-headers"),
        ("2026-07-28", "2026-07-28", "request-metadata"),
    ],
)
async def test_scenarios(
    running: tuple[Daemon, str],
    tools: NodeTools,
    tmp_path: Path,
    era: str,
    mode: str,
    scenario: str,
) -> None:
    """Every check passes, and there is one."""
    daemon, key = running
    outcome = await clients.run(daemon, tools, key, (era, mode), tmp_path, scenario)
    passed, failed = outcome.scenarios[scenario]
    assert passed, outcome.said
    assert not failed, outcome.said


async def test_what_is_left_out_needs_oauth(tools: NodeTools) -> None:
    """Nothing else of a revision is left out."""
    named, left_out = await clients.scenarios(tools, "2026-07-28")
    assert "tools_call" in named
    assert left_out
    assert all(name.startswith("auth/") for name in left_out)
