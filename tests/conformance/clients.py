"""The suite's client scenarios, with the gateway as the client that they look at."""

import asyncio
import re
import shlex
import sys
from pathlib import Path

from tests.conformance.house import ROOT
from tests.conformance.suite import Outcome, single
from tests.support.daemon import Daemon
from tests.support.node_tools import NodeTools

MODES = ("legacy", "2026-07-28")
"""How the gateway itself is spoken to meanwhile."""

_LINE = re.compile(r"^  - (\S+) \[(.*)\]$", re.MULTILINE)


async def scenarios(tools: NodeTools, era: str) -> tuple[list[str], list[str]]:
    """The client scenarios of a revision: those to run, and those that need OAuth at an upstream.

    The second kind cannot be run: the gateway sends an upstream the headers that it was given, and
    logs in nowhere. Scenarios of extensions belong to no revision.
    """
    said = await _said(tools, "list")
    ours = said.partition("Client scenarios")[2].partition("Authorization server")[0]
    found = [name for name, revisions in _LINE.findall(ours) if era in revisions.split(",")]
    oauth = [name for name in found if name.startswith("auth/")]
    return [name for name in found if name not in oauth], oauth


async def run(
    daemon: Daemon, tools: NodeTools, key: str, pair: tuple[str, str], out: Path, *named: str
) -> Outcome:
    """The named scenarios in a revision, with the gateway spoken to in a mode."""
    era, mode = pair
    words = [sys.executable, "-m", "tests.conformance.client", daemon.socket, daemon.url, key, mode]
    said = {
        name: await _said(
            tools, "client", "--command", shlex.join(words), "--scenario", name,
            "--spec-version", era, "-o", str(out),
        )
        for name in named
    }  # fmt: skip
    return single(said)


async def _said(tools: NodeTools, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *tools.conformance, *words, cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return said.decode()
