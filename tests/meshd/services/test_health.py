"""States of connections: what contact showed, kept in memory, written when it changes."""

import json

import pytest

from meshd.services.directory import ConnectionRow
from meshd.store.db import StoreUnavailable
from meshd.wire.connection import ConnectionAdd, ConnectionEdit
from meshd.wire.errors import NeedsLogin, UpstreamFailed, UpstreamTimeout
from tests.support.floors import Floors

NOWHERE = "http://127.0.0.1:1/mcp"


async def row(house: Floors) -> ConnectionRow:
    """A connection that was never reached."""
    made = await house.connections.add(house.owner, ConnectionAdd(name="a", url=NOWHERE))
    house.health.forget(made.id)
    await house.raw("UPDATE connections SET state = 'unknown', reason = NULL")
    return house.directory.view.connections[made.id]


def shown(house: Floors) -> tuple[str, str | None]:
    found = house.connections.show(house.owner, "a")
    return found.state, found.reason


async def states(house: Floors) -> list[str]:
    """The states that events told of, after those of the start."""
    return [
        k.removeprefix("connection.") for k in await house.kinds() if k.startswith("connection.")
    ][2:]


async def test_what_contact_shows(house: Floors) -> None:
    it = await row(house)
    assert shown(house) == ("unknown", None)
    for note, state, reason in (
        (lambda: house.health.reached(it), "ready", None),
        (lambda: house.health.failed(it, UpstreamFailed("it broke")), "failing", "it broke"),
        (lambda: house.health.failed(it, UpstreamTimeout("too slow")), "failing", "too slow"),
        (lambda: house.health.failed(it, NeedsLogin("who are you")), "needs_login", "who are you"),
        (lambda: house.health.reached(it), "ready", None),
    ):
        note()
        assert shown(house) == (state, reason)
        await house.health.flush()
        assert shown(house) == (state, reason)
        stored = await house.db.one("connection.all")
        assert stored is not None
        assert (stored["state"], stored["reason"]) == (state, reason)
    assert await states(house) == ["ready", "failing", "needs_login", "ready"]


async def test_the_same_state_again_is_not_written_but_seen(house: Floors) -> None:
    """A thousand calls are one event; the moment of the last contact moves on."""
    it = await row(house)
    house.health.reached(it)
    await house.health.flush()
    for _ in range(1000):
        house.clock.advance(1)
        house.health.reached(it)
    await house.directory.refresh()
    await house.health.flush()
    assert await states(house) == ["ready"]
    assert house.connections.show(house.owner, "a").seen_at == "2026-11-23T12:16:40.000000Z"
    house.health.failed(it, UpstreamFailed("gone"))
    assert house.connections.show(house.owner, "a").seen_at == "2026-11-23T12:16:40.000000Z"


async def test_a_reason_holds_no_secret_and_is_short(house: Floors) -> None:
    it = await row(house)
    house.health.failed(it, UpstreamFailed("Bearer hunter2hunter2 " + "x" * 5000 + "\udcff"))
    await house.health.flush()
    state, reason = shown(house)
    assert reason is not None
    assert (state, len(reason)) == ("failing", 300)
    assert "hunter2" not in reason
    assert "hunter2" not in json.dumps(
        await house.db.all("event.after", org_id=it.org, after=0, limit=99), default=repr
    )


async def test_what_was_said_of_another_configuration_does_not_count(house: Floors) -> None:
    """An answer that arrives after an edit is about the old server."""
    it = await row(house)
    await house.connections.edit(house.owner, ConnectionEdit(connection="a", url=NOWHERE + "/b"))
    told = len(await house.kinds())
    house.health.reached(it)
    assert shown(house)[0] == "failing"
    await house.health.flush()
    assert shown(house)[0] == "failing"
    assert len(await house.kinds()) == told


async def test_a_removed_connection_is_left_alone(house: Floors) -> None:
    it = await row(house)
    await house.connections.remove(house.owner, "a")
    house.health.reached(it)
    await house.health.flush()
    assert await house.db.all("connection.all") == []


async def test_a_state_that_could_not_be_written_is_written_later(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a failing database nor a snapshot that is too old loses it."""
    it = await row(house)

    async def fail(*_: object) -> None:
        raise StoreUnavailable("full")

    house.health.reached(it)
    with monkeypatch.context() as broken:
        broken.setattr(house.db, "write", fail)
        await house.health.flush()
    house.clock.advance(60)
    await house.health.flush()
    assert await states(house) == []
    await house.directory.refresh()
    await house.health.flush()
    assert await states(house) == ["ready"]
