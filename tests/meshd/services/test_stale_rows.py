"""Whoever still holds a connection from before a change brings nothing of it back."""

import asyncio
import sys
from collections.abc import Iterator

import pytest
from msgspec import Raw

from meshd.services.directory import ConnectionRow
from meshd.store.db import Step
from meshd.wire.connection import ConnectionAdd, ConnectionAddStdio, ConnectionEdit
from meshd.wire.errors import Conflict, UpstreamFailed
from tests.support.floors import Floors
from tests.support.upstream import Upstream, upstream


@pytest.fixture
def servers() -> Iterator[tuple[Upstream, Upstream]]:
    with upstream() as old, upstream() as new:
        yield old, new


def row_of(house: Floors) -> ConnectionRow:
    (row,) = house.directory.view.connections.values()
    return row


async def edited(house: Floors, servers: tuple[Upstream, Upstream]) -> ConnectionRow:
    """A connection that was pointed elsewhere; the row from before that."""
    old, new = servers
    await house.connections.add(house.owner, ConnectionAdd(name="a", url=old.url))
    row = row_of(house)
    await house.connections.edit(house.owner, ConnectionEdit(connection="a", url=new.url))
    return row


async def test_a_row_from_before_an_edit_reaches_nothing(
    house: Floors, servers: tuple[Upstream, Upstream]
) -> None:
    """What serves the new one stays as it is."""
    stale = await edited(house, servers)
    serving, asked = house.upstreams.http(row_of(house)), len(servers[0].seen)
    for use in (house.upstreams.http, house.upstreams.eras):
        with pytest.raises(Conflict, match="changed meanwhile"):
            use(stale)
    for ask in (house.upstreams.adapter(stale), house.upstreams.request(stale, "tools/list")):
        with pytest.raises(Conflict, match="changed meanwhile"):
            await ask
    assert house.upstreams.http(row_of(house)) is serving
    assert len(servers[0].seen) == asked


@pytest.mark.parametrize(
    ("was_sent", "told"), [(True, "it went away"), (False, "changed meanwhile")], ids=str
)
async def test_what_was_lost_is_not_sent_again_after_an_edit(
    house: Floors, servers: tuple[Upstream, Upstream], was_sent: bool, told: str
) -> None:
    """Also by whoever holds on to what was there before, and where repeating does no harm."""
    stale, sent = await edited(house, servers), 0

    async def send() -> None:
        nonlocal sent
        sent += 1
        raise UpstreamFailed.gone("it went away", sent=was_sent)

    with pytest.raises(UpstreamFailed, match=told):
        await house.upstreams.recovered(stale, send, repeatable=True)
    assert sent == 1


async def test_a_side_that_is_replaced_probes_no_more(
    house: Floors, servers: tuple[Upstream, Upstream]
) -> None:
    """Another daemon edited it: nobody here was told to drop what ran."""
    old, new = servers
    await house.connections.add(house.owner, ConnectionAdd(name="a", url=old.url))
    before = house.upstreams.http(row_of(house))
    row = row_of(house)
    changed = {
        "id": row.id, "org_id": row.org, "name": row.name, "url": new.url, "command": None,
        "cwd": None, "bodies": row.bodies, "idle_s": None, "trust": row.trust,
        "edition": row.edition,
    }  # fmt: skip
    await house.db.write(
        Step("connection.edit", changed, expect=1),
        Step("revision.bump", {"topic": "connections"}),
    )
    await house.directory.refresh()
    assert house.upstreams.http(row_of(house)) is not before
    async with asyncio.timeout(60):
        while not before.circuit._closed:
            await asyncio.sleep(0)


async def test_a_child_that_was_switched_off_is_not_started(house: Floors) -> None:
    """Not even by a listener that had it when it was on."""
    command = [sys.executable, "-c", "raise SystemExit(1)"]
    await house.connections.add_stdio(house.owner, ConnectionAddStdio(name="a", command=command))
    row = row_of(house)
    await house.connections.enable(house.owner, "a", enabled=False)
    with pytest.raises(Conflict, match="is disabled"):
        await house.upstreams.adapter(row)
    await house.connections.remove(house.owner, "a")
    with pytest.raises(Conflict, match="changed meanwhile"):
        await house.upstreams.adapter(row)
    assert await house.upstreams.child(row) is None


async def test_a_late_list_of_an_older_row_does_not_replace_the_newer(
    house: Floors, servers: tuple[Upstream, Upstream]
) -> None:
    stale = await edited(house, servers)
    await house.tools.learn(stale, [Raw(b'{"name":"gone"}')])
    listed = house.tools.known(row_of(house))
    assert listed is not None
    assert "gone" not in listed.tools
