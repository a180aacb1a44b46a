"""The snapshot that decides: fresh after every change, and silent when it is too old."""

import asyncio
from contextlib import suppress

import pytest

from meshd.services.directory import STALE
from meshd.store.db import Step, StoreUnavailable
from meshd.wire.connection import ConnectionAdd
from meshd.wire.errors import Unavailable
from tests.support.floors import Floors


async def test_nothing_is_decided_before_the_first_reading(house: Floors) -> None:
    from meshd.services.directory import Directory

    with pytest.raises(Unavailable):
        _ = Directory(house.scoped, house.clock).view


async def test_too_old_a_snapshot_decides_nothing(house: Floors) -> None:
    house.clock.advance(STALE)
    assert house.directory.view
    house.clock.advance(0.1)
    with pytest.raises(Unavailable):
        _ = house.directory.view
    await house.directory.refresh()
    assert house.directory.view


async def test_a_database_that_fails_makes_it_no_younger(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    house.clock.advance(STALE - 1)
    with monkeypatch.context() as broken:
        broken.setattr(house.db, "one", fail)
        with pytest.raises(StoreUnavailable):
            await house.directory.refresh()
    house.clock.advance(2)
    with pytest.raises(Unavailable):
        _ = house.directory.view


async def test_it_is_read_again_only_when_something_changed(house: Floors) -> None:
    before = house.directory.view
    await house.directory.refresh()
    assert house.directory.view is before
    await house.db.write(Step("revision.bump", {"topic": "keys"}))
    await house.directory.refresh()
    assert house.directory.view is not before


async def test_what_another_daemon_changed_is_seen_at_the_next_poll(house: Floors) -> None:
    who = await house.key("laptop")
    await house.db.write(
        Step("key.revoke", {"id": who.id, "org_id": who.org}),
        Step("revision.bump", {"topic": "keys"}),
    )
    assert who.present() is not None
    await house.directory.refresh()
    assert who.present() is None


async def test_a_connection_that_did_not_change_is_the_same_object(house: Floors) -> None:
    """What is kept for a connection is kept by it; a change of a key must not undo that."""
    made = await house.connections.add(
        house.owner, ConnectionAdd(name="a", url="http://127.0.0.1:1/mcp")
    )
    before = house.directory.view.connections[made.id]
    await house.key("laptop")
    assert house.directory.view.connections[made.id] is before


async def test_a_revision_names_the_target_and_not_its_name_or_state(house: Floors) -> None:
    from meshd.wire.connection import ConnectionEdit

    made = await house.connections.add(
        house.owner, ConnectionAdd(name="a", url="http://127.0.0.1:1/mcp")
    )
    revisions = []
    for asked in (
        {},
        {"name": "b", "bodies": "off"},
        {"url": "http://127.0.0.1:1/x"},
        {"headers": {"A": "v"}},
    ):
        await house.connections.edit(house.owner, ConnectionEdit(connection=made.id, **asked))
        revisions.append(house.directory.view.connections[made.id].revision)
    assert revisions[0] == revisions[1]
    assert len(set(revisions)) == 3


async def test_the_owner_of_a_key_decides_whether_it_is_the_instances(house: Floors) -> None:
    assert (await house.key("mine")).instance_admin
    assert not (await house.key_of_someone("theirs")).instance_admin


async def test_a_hint_hurries_the_poll(house: Floors, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which would come too late for this test otherwise."""
    monkeypatch.setattr("meshd.services.directory.POLL", 3600.0)
    polling = asyncio.create_task(house.directory.keep_fresh())
    try:
        await asyncio.sleep(0)
        heard = house.directory.news.rung
        await house.db.write(Step("revision.bump", {"topic": "keys"}))
        async with asyncio.timeout(10):
            while house.directory.news.rung == heard:
                house.directory.bell.ring()
                await house.directory.news.wait(0.1, heard)
    finally:
        polling.cancel()
        with suppress(asyncio.CancelledError):
            await polling
