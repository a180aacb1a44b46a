"""The official conformance suite, run against one connection of a gateway."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.door import opened
from tests.support.daemon import Daemon
from tests.support.node_tools import NodeTools

ERAS = ("2025-11-25", "2026-07-28")
UPSTREAMS = ("handshake", "stateless", "sse-only", "stdio")
EXPECTED = Path(__file__).with_name("expected-failures.txt")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"^\W*([\w./-]+): (\d+) passed, (\d+) failed", re.MULTILINE)
_UNSCORED = re.compile(r"^\W+([\w./-]+) \([\w -]+\)", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """Checks by scenario: passed and failed. `unscored` scenarios do not count."""

    scenarios: dict[str, tuple[int, int]]
    unscored: frozenset[str]
    said: str

    @property
    def failed(self) -> set[str]:
        """Scored scenarios with a failed check."""
        found = {name for name, (_, failed) in self.scenarios.items() if failed}
        return found - self.unscored

    @property
    def checks(self) -> tuple[int, int]:
        """Passed and failed checks of what is scored."""
        scored = [v for name, v in self.scenarios.items() if name not in self.unscored]
        return sum(p for p, _ in scored), sum(f for _, f in scored)


def expected(era: str, upstream: str) -> set[str]:
    """The scenarios of a pair that are known to fail; see `clients` for the pairs of that kind."""
    lines = [line for line in EXPECTED.read_text().splitlines() if not line.startswith("#")]
    told = [line.partition(":")[0].split() for line in lines if line]
    return {scenario for *pair, scenario in told if pair == [era, upstream]}


async def run(
    daemon: Daemon, tools: NodeTools, key: str, pair: tuple[str, str], out: Path, *scenarios: str
) -> Outcome:
    """Every scenario that a revision requires, or those that are named."""
    era, upstream = pair
    async with opened(f"{daemon.url}/mcp/{upstream}", key) as url:
        if not scenarios:
            return _read(await _said(tools, out, url, "--requirements", era))
        parts = [
            await _said(tools, out, url, "--scenario", name, "--spec-version", era)
            for name in scenarios
        ]
        return single(dict(zip(scenarios, parts, strict=True)))


async def _said(tools: NodeTools, out: Path, url: str, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *tools.conformance, "server", "--url", url, *words, "-o", str(out),
        cwd=out, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return _COLOUR.sub("", said.decode())


def _read(said: str) -> Outcome:
    summary = said[said.rfind("SUMMARY") :]
    scored, _, unscored = summary.partition("Not scored")
    found = {name: (int(p), int(f)) for name, p, f in _LINE.findall(scored)}
    found.pop("Total", None)
    return Outcome(found, frozenset(_UNSCORED.findall(unscored)), said)


def single(said: dict[str, str]) -> Outcome:
    """What single scenarios said: each prints its checks instead of a summary."""
    found = {}
    for name, text in said.items():
        passed = re.search(r"Passed: (\d+)/(\d+), (\d+) failed", text)
        found[name] = (int(passed[1]), int(passed[3])) if passed else (0, 1)
    return Outcome(found, frozenset(), json.dumps(said))
