"""Whether the databases answer, found out by asking them."""

import asyncio
import logging

from meshd.store.scoped import ScopedDatabase

log = logging.getLogger(__name__)

DEADLINE = 2.0
"""Seconds in which the databases have to answer a probe."""


async def is_ready(main: ScopedDatabase, calls: ScopedDatabase, org: str) -> bool:
    """Whether both answer; `org` is any one."""
    try:
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(
                main.one("revision.sum"),
                calls.org(org).one("call.last"),
            )
    except Exception as error:  # noqa: BLE001 - whatever fails, calls would fail alike
        log.warning("not ready: %s", type(error).__name__)
        return False
    return True
