"""Who bears a disputed name is known again after a restart, for as long as the virtual MCP is."""

import asyncio

import pytest

from meshd.services.composing import Route
from meshd.services.held_names import HeldNames
from meshd.services.virtual_tree import DEFAULT
from meshd.store.db import Step, StoreError
from meshd.wire.virtual import VirtualCreate
from tests.support.floors import Floors


async def made(house: Floors) -> tuple[str, str]:
    """The org, and a virtual MCP of it."""
    await house.virtuals.create(house.owner, VirtualCreate(name="team"))
    (row,) = house.directory.view.virtuals.values()
    return row.org, row.id


def broken(*_: object) -> Step:
    raise StoreError("the disk is full")


async def written(names: HeldNames) -> None:
    while names._tasks:
        await asyncio.wait(list(names._tasks._tasks))


async def restarted(house: Floors, org: str) -> dict[tuple[str, str], dict[str, Route]]:
    names = HeldNames(house.scoped)
    await names.load()
    return {key: dict(held) for key, held in names.of(org).items()}


async def test_a_disputed_name_is_kept(house: Floors) -> None:
    """With those before it; another bearer takes the place of the one before."""
    org, virtual = await made(house)
    names = HeldNames(house.scoped)
    names.dispute(org, virtual, "tool", {"look": Route("conn_a", "look")})
    names.dispute(org, virtual, "tool", {"see": Route("conn_b", "seen")})
    names.dispute(org, virtual, "prompt", {"greet": Route("conn_a", "greet")})
    await written(names)
    assert await restarted(house, org) == {
        (virtual, "tool"): {"look": Route("conn_a", "look"), "see": Route("conn_b", "seen")},
        (virtual, "prompt"): {"greet": Route("conn_a", "greet")},
    }
    names.dispute(org, virtual, "prompt", {"greet": Route("conn_b", "greet")})
    await written(names)
    assert (await restarted(house, org))[virtual, "prompt"]["greet"].connection == "conn_b"


async def test_what_is_dropped_from_memory_is_what_was_stored(house: Floors) -> None:
    org, virtual = await made(house)
    names = HeldNames(house.scoped)
    names.dispute(org, virtual, "tool", {"look": Route("conn_a", "look")})
    names.of(org)[virtual, "tool"] = {"alone": Route("conn_b", "alone")}
    names.of(org)[virtual, "prompt"] = {"greet": Route("conn_b", "greet")}
    for thing in ("tool", "prompt"):
        names.forget(org, virtual, thing)  # type: ignore[arg-type]
    assert names.of(org) == {(virtual, "tool"): {"look": Route("conn_a", "look")}}
    await written(names)


async def test_it_goes_with_the_virtual_mcp(house: Floors) -> None:
    org, virtual = await made(house)
    names = HeldNames(house.scoped)
    names.dispute(org, virtual, "tool", {"look": Route("conn_a", "look")})
    await written(names)
    await house.virtuals.remove(house.owner, "team")
    assert await restarted(house, org) == {}
    names.dispute(org, virtual, "tool", {"look": Route("conn_b", "look")})
    await written(names)
    assert await restarted(house, org) == {}
    names.keep_only({DEFAULT})
    assert not names._stored


async def test_what_could_not_be_stored_is_stored_later(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    org, virtual = await made(house)
    names, bearers = HeldNames(house.scoped), {"look": Route("conn_a", "look")}
    monkeypatch.setattr("meshd.services.held_names.Step", broken)
    names.dispute(org, virtual, "tool", bearers)
    await written(names)
    monkeypatch.undo()
    assert await restarted(house, org) == {}
    names.dispute(org, virtual, "tool", bearers)
    await written(names)
    assert await restarted(house, org) == {(virtual, "tool"): bearers}
