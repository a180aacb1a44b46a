"""The daemon's own checks, run as a child process: also while no daemon runs."""

import asyncio
import sqlite3
from typing import Literal

from aiohttp import http_parser
from msgspec import Struct, to_builtins

from meshd.core.config import Config
from meshd.vault.errors import VaultError
from meshd.vault.sources.chain import sources
from meshd.vault.sources.environment import WEAK

MENDED_SQLITE = (3, 51, 3)


class Check(Struct, kw_only=True):
    """One wall: how it stands, and what to do about it."""

    check: str
    state: Literal["pass", "weak", "fail"]
    note: str
    next: str | None = None


def examine(config: Config) -> list[dict[str, str | None]]:
    """Every check, as JSON-ready mappings."""
    checks = [_parser(), _sqlite(), _master(config)]
    return [to_builtins(check) for check in checks]


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
