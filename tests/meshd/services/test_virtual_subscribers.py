"""Events for a tool of a virtual MCP: called by its name there, with what its maker may do there."""

from collections.abc import AsyncIterator

import pytest
from msgspec import Raw

from meshd.wire.call import RecordList
from meshd.wire.connection import ConnectionAddStdio
from meshd.wire.errors import Denied, NotFound
from meshd.wire.key import KeyEdit
from meshd.wire.subscription import SubscriptionAdd, SubscriptionEdit
from meshd.wire.virtual import VirtualAttach, VirtualCreate
from tests.support import stdio_server
from tests.support.bus import Bus
from tests.support.floors import Floors

TOOL = "erp_echo"


@pytest.fixture
async def bus(house: Floors) -> AsyncIterator[Bus]:
    """With one that has all tools of a server."""
    made = Bus.over(house)
    add = ConnectionAddStdio(name="erp", command=list(stdio_server.command()))
    await house.connections.add_stdio(house.owner, add)
    await house.virtuals.create(house.owner, VirtualCreate(name="work"))
    await house.virtuals.attach(house.owner, VirtualAttach(virtual="work", child="erp"))
    yield made
    await made.dispatcher.stop()
    await made.lists.close()
    for pool in (made.delivering._trusted, made.delivering._public):
        await pool.close()


def asked(tool: str | None = TOOL, **more: object) -> SubscriptionAdd:
    template = Raw(b'{"n": "{{ event.data.no }}"}') if tool else Raw(b"null")
    given = {"types": ["order.*"], "connection": "work", "name": "s", "arguments": template}
    return SubscriptionAdd(**{**given, "tool": tool, **more})


async def test_it_is_called_with_the_event_and_recorded_where_it_leads(bus: Bus) -> None:
    house = bus.house
    made = await bus.subscriptions.add(house.owner, asked())
    assert (made.target.connection, made.target.tool) == ("work", TOOL)
    await bus.publish("order.made", b'{"no": 17}')
    await bus.turn()
    assert [row.state for row in await bus.rows()] == ["done"]
    await house.records.flush()
    (record,) = await house.records.all(house.owner, RecordList())
    assert (record.connection, record.tool) == ("erp", "echo")


async def test_it_runs_with_what_its_maker_may_do_there(bus: Bus) -> None:
    """A grant on the virtual MCP suffices; when the key has it no more, the subscription pauses."""
    house = bus.house
    key = await house.key("maker", allow=[f"work/{TOOL}", "self/subscription.*"])
    with pytest.raises(Denied):
        await bus.subscriptions.add(key, asked("erp_write"))
    await bus.subscriptions.add(key, asked())
    await bus.publish("order.made", b'{"no": 1}', id="1")
    await bus.turn()
    assert [row.state for row in await bus.rows()] == ["done"]
    edit = KeyEdit(key="maker", revoke=[f"work/{TOOL}"], allow=["work/erp_write", "erp/write"])
    await house.keys.edit(house.owner, edit)
    await bus.publish("order.made", b'{"no": 2}', id="2")
    await bus.turn()
    shown = bus.subscriptions.show(house.owner, "s")
    assert (shown.state, (await bus.rows(event="2"))[0].state) == ("paused", "ready")
    key = house.directory.view.keys[key.id].principal
    with pytest.raises(Denied):
        await bus.subscriptions.edit(key, SubscriptionEdit(subscription="s", owner="me"))
    taken = await bus.subscriptions.edit(
        house.owner, SubscriptionEdit(subscription="s", owner="me")
    )
    await bus.turn()
    assert (taken.state, (await bus.rows(event="2"))[0].state) == ("active", "done")


async def test_a_wider_key_of_now_gives_it_nothing_more(bus: Bus) -> None:
    """What it may call is what its maker could when it was made."""
    house = bus.house
    key = await house.key("maker", allow=["work/*", "self/subscription.*"])
    await bus.subscriptions.add(key, asked())
    await house.raw("UPDATE subscriptions SET maker = replace(maker, '\"*\"', '\"x\"')")
    await house.keys.edit(house.owner, KeyEdit(key="maker", allow=["erp/*"]))
    await bus.publish("order.made", b'{"no": 1}')
    await bus.turn()
    shown = bus.subscriptions.show(house.owner, "s")
    assert (shown.state, shown.reason) == ("paused", f"no grant of maker covers tool {TOOL}")


async def test_a_tool_that_is_missing_for_a_while_is_tried_again(bus: Bus) -> None:
    """A child that is taken out comes back; the virtual MCP itself does not."""
    house = bus.house
    await bus.subscriptions.add(house.owner, asked())
    await house.virtuals.detach(house.owner, "work", "erp")
    await bus.publish("order.made", b'{"no": 1}')
    await bus.turn()
    (row,) = await bus.rows()
    assert (row.state, row.attempt) == ("waiting", 1)
    await house.virtuals.attach(house.owner, VirtualAttach(virtual="work", child="erp"))
    house.clock.advance(2)
    await bus.turn()
    assert [row.state for row in await bus.rows()] == ["done"]
    await house.virtuals.remove(house.owner, "work")
    await bus.publish("order.made", b'{"no": 2}', id="2")
    await bus.turn()
    assert bus.subscriptions.show(house.owner, "s").state == "paused"


@pytest.mark.parametrize(
    "more", [{"tool": "erp_nothing"}, {"tool": None}, {"connection": "nowhere"}]
)
async def test_what_is_not_there(bus: Bus, more: dict[str, object]) -> None:
    """Whole batches are for a connection's ON_EVENTS alone."""
    with pytest.raises(NotFound):
        await bus.subscriptions.add(bus.house.owner, asked(**more))
