"""The daemon's own checks, run as a child process: also while no daemon runs."""

import asyncio
import sqlite3
from typing import Literal

from aiohttp import http_parser
from msgspec import Struct, to_builtins

from meshd.core.config import Config
from meshd.services.db_facts import key_here, sealed_with
from meshd.services.restoring import where
from meshd.store import whole
from meshd.store.db import StoreDamaged
from meshd.store.opening import FOLDERS, explained
from meshd.store.reading import Reading, pending
from meshd.vault.errors import VaultError
from meshd.vault.sources.chain import sources
from meshd.vault.sources.environment import WEAK
from meshd.wire.errors import MeshError

MENDED_SQLITE = (3, 51, 3)


class Check(Struct, kw_only=True):
    """One wall: how it stands, and what to do about it."""

    check: str
    state: Literal["pass", "weak", "fail"]
    note: str
    next: str | None = None


OPEN_METRICS = Check(
    check="metrics", state="weak", next="meshctl help environment",
    note="METRICS_ACCESS is open: whoever reaches the port reads names and numbers of every org",
)  # fmt: skip


def examine(config: Config) -> list[dict[str, str | None]]:
    """Every check, as JSON-ready mappings."""
    checks = [_parser(), _sqlite(), _master(config), *asyncio.run(_database(config))]
    if config.metrics_access == "open":
        checks.append(OPEN_METRICS)
    return [to_builtins(check) for check in checks]


async def _database(config: Config) -> list[Check]:
    """What can be told of the data without reading all of it, also beside a daemon that runs."""
    if not whole.is_there(config):
        note = "none yet; the first start makes it"
        return [Check(check="database", state="pass", note=note)]
    try:
        with explained(config):
            async with whole.read(config) as reading:
                checks = [await _readable(config, reading), *await _walls(reading)]
                return [*checks, *await _sealed(config, reading)]
    except (MeshError, StoreDamaged) as error:
        note = str(error)
        return [Check(check="database", state="fail", note=note, next="meshctl db status")]


async def _readable(config: Config, reading: Reading) -> Check:
    if missing := await pending(reading, FOLDERS):
        note = f"{len(missing)} migrations are missing; the next start of meshd applies them"
        return Check(check="database", state="weak", note=note, next="meshctl db migrate")
    return Check(check="database", state="pass", note=where(config))


async def _walls(reading: Reading) -> list[Check]:
    """On a server row security stands between orgs, unless the role passes it."""
    if reading.dialect != "postgres":
        return []
    if not (reasons := await reading.open_rows()):
        note = "the server keeps the rows of each org apart"
        return [Check(check="row security", state="pass", note=note)]
    return [Check(
        check="row security", state="weak", note="; ".join(reasons),
        next="CREATE ROLE meshd LOGIN NOSUPERUSER NOBYPASSRLS",
    )]  # fmt: skip


async def _sealed(config: Config, reading: Reading) -> list[Check]:
    """Whether the master key here is the one that the data needs."""
    tables = {table.name for table in await reading.tables()}
    needed = await sealed_with(reading) if "data_keys" in tables else []
    here = await key_here(config)
    if not needed or here is None or here in needed:
        return []
    note = f"the master key here is {here}; the data is sealed under {', '.join(needed)}"
    return [Check(check="vault", state="fail", note=note, next="meshctl help vault")]


def _parser() -> Check:
    fast = http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy
    if fast:
        return Check(check="http parser", state="pass", note="aiohttp's C parser is in use")
    return Check(
        check="http parser", state="fail",
        note="aiohttp runs without its C parser, which request smuggling can use",
        next="pip install --force-reinstall aiohttp",
    )  # fmt: skip


def _sqlite() -> Check:
    version = sqlite3.sqlite_version
    note = f"SQLite {version}"
    if sqlite3.sqlite_version_info < MENDED_SQLITE:
        note += "; its WAL race is avoided: one connection does every write and checkpoint"
    return Check(check="sqlite", state="pass", note=note)


def _master(config: Config) -> Check:
    """Ask the source that the daemon would ask; nothing is made."""
    source, *passed = sources(config)
    if source.name == "file" and not config.master_key.exists():
        note = "no master key yet; the first start makes one"
        return Check(check="master key", state="pass", note=note)
    try:
        key = asyncio.run(source.key(create=False))
    except VaultError as error:
        return Check(check="master key", state="fail", note=str(error), next="meshctl help vault")
    if source.name == "environment":
        return Check(check="master key", state="weak", note=WEAK, next="meshctl help vault")
    note = f"{key.id.hex()} from the {source.name} ({source.place})"
    if passed:
        others = ", ".join(other.name for other in passed)
        note += f"; configured too and never asked: {others}"
        return Check(check="master key", state="weak", note=note, next="meshctl help vault")
    return Check(check="master key", state="pass", note=note)
