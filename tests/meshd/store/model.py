"""Steps on the schema of the fixtures, and a plain dictionary that does the same."""

import asyncio
from typing import Any

from hypothesis import strategies as st

from meshd.store.db import Database, Step


def add(name: str, count: int = 0) -> Step:
    return Step("thing.add", {"name": name, "count": count})


def bump(name: str, by: int = 1, expect: int | None = 1) -> Step:
    return Step("thing.bump", {"name": name, "by": by}, expect)


async def things(database: Database) -> dict[str, int]:
    return {row["name"]: row["count"] for row in await database.all("thing.all")}


async def outcomes(database: Database, *units: list[Step]) -> list[Any]:
    """The answers or exceptions of units that are written at the same time."""
    return await asyncio.gather(*(database.write(*unit) for unit in units), return_exceptions=True)


NAMES = st.sampled_from("abcd")
OPERATIONS = st.one_of(
    st.tuples(st.just("add"), NAMES, st.integers(-1, 3)),
    st.tuples(st.just("bump"), NAMES, st.integers(-3, 3)),
    st.tuples(st.just("drop"), NAMES, st.just(0)),
)
UNITS = st.lists(OPERATIONS, min_size=1, max_size=4)


def as_step(verb: str, name: str, number: int) -> Step:
    if verb == "add":
        return add(name, number)
    return bump(name, number) if verb == "bump" else Step("thing.drop", {"name": name}, 1)


def modelled(state: dict[str, int], unit: list[tuple[str, str, int]]) -> dict[str, int] | None:
    """The state after a unit, or None if the unit must fail."""
    after = dict(state)
    for verb, name, number in unit:
        if (verb == "add") == (name in after):
            return None
        after[name] = number if verb == "add" else after[name] + number
        if after[name] < 0:
            return None
        if verb == "drop":
            del after[name]
    return after
