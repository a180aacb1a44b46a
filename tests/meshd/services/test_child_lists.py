"""When a child's list is read again, waited for, marked, and given up."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Raw

from meshd.services.child_lists import LONG, ChildLists, Seen
from meshd.services.definitions import Definitions, from_entries
from meshd.services.served_lists import ASLEEP, FRESH, PATIENCE, RETRY, STALE, ServedLists
from meshd.wire.errors import MeshError, UpstreamFailed, UpstreamTimeout
from tests.support.clock import FakeClock

DAY = 24 * 3600


class Child:
    """One connection, and what the services behind it would say."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.row: Any = SimpleNamespace(
            id="conn_a", name="a", revision="1", edition=1, transport="http"
        )
        self.names = ["one"]
        self.error: MeshError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads = 0
        self.ttl: float | None = None
        self.sleeps = False
        self.state = SimpleNamespace(state="ready", reason=None)
        self.listed: Definitions | None = None
        self.told: list[tuple[str, str]] = []
        self.said = 0
        self.heard = 0
        self.ears: list[Any] = []
        self.served = ServedLists(
            SimpleNamespace(  # type: ignore[arg-type]
                approved=lambda _: self.listed, relist=self.relist,
                on_other_tools=self.ears.append,
                is_current=lambda _: self.heard == self.said,
                is_configured=lambda ident: ident == self.row.id,
            ),
            SimpleNamespace(asleep=lambda _: self.sleeps, on_change=lambda _: None),  # type: ignore[arg-type]
            SimpleNamespace(of=lambda _: self.state),  # type: ignore[arg-type]
            clock,
        )  # fmt: skip
        self.lists = ChildLists(self.served)
        self.served.on_change(lambda connection, thing: self.told.append((connection, thing)))

    async def relist(self, _row: Any) -> Definitions:
        """As the service does: what the upstream said before it was asked is heard."""
        self.reads += 1
        said = self.said
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        entries = [Raw(b'{"name":"%b"}' % name.encode()) for name in self.names]
        before, self.listed = self.listed, from_entries(entries, self.clock.now(), ttl=self.ttl)
        self.heard = said
        if before is not None and before.raw != self.listed.raw:
            for ear in self.ears:
                ear(self.row)
        return self.listed

    async def seen(self) -> Seen:
        return (await self.lists.seen([self.row], "tool"))["conn_a"]

    async def settled(self) -> Seen:
        """What is seen once nothing is read any more."""
        await self.seen()
        while (flight := self.served._kept["conn_a", "tool"].flight) is not None:
            await asyncio.wait([flight.task])
        return self.lists.known([self.row], "tool")["conn_a"]


@pytest.fixture
async def child() -> Any:
    made = Child(FakeClock())
    yield made
    await made.served.close()


def names(seen: Seen) -> list[str] | None:
    return None if seen.entries is None else [one.name for one in seen.entries]


async def test_a_list_is_read_once_for_all_and_again_when_it_is_old(child: Child) -> None:
    """Meanwhile the old one is served, and nobody waits."""
    first, second = await asyncio.gather(child.seen(), child.seen())
    assert (names(first), names(second), child.reads) == (["one"], ["one"], 1)
    child.clock.advance(FRESH - 1)
    await child.settled()
    assert child.reads == 1
    child.clock.advance(2)
    child.names = ["one", "two"]
    assert names(await child.seen()) == ["one"]
    assert names(await child.settled()) == ["one", "two"]
    assert (child.reads, child.told) == (2, [("conn_a", "tool")])


async def test_a_list_that_is_said_to_be_another_is_waited_for(child: Child) -> None:
    """Also by who comes while the one before is still being read, which knows nothing of it."""
    await child.seen()
    child.clock.advance(FRESH + 1)
    child.gate.clear()
    await child.seen()
    await asyncio.sleep(0)
    child.said, child.names = 1, ["new"]
    asking = asyncio.ensure_future(child.seen())
    await asyncio.sleep(0)
    child.gate.set()
    assert (names(await asking), child.reads) == (["new"], 3)


async def test_an_old_list_is_waited_for(child: Child) -> None:
    """As it is for the connection's own clients: nobody gets what may long be otherwise."""
    await child.seen()
    child.names = ["new"]
    child.clock.advance(STALE)
    seen = await child.seen()
    assert (names(seen), seen.reason) == (["new"], None)


async def test_a_child_that_sleeps_is_not_woken_for_a_list_that_is_known(child: Child) -> None:
    """Which is marked: the server may list otherwise once it runs."""
    await child.seen()
    child.sleeps = True
    child.clock.advance(2 * DAY)
    seen = await child.seen()
    assert (names(seen), seen.reason, child.reads) == (["one"], ASLEEP, 1)


async def test_a_failing_child_is_served_from_its_last_list_for_a_day(child: Child) -> None:
    """With the reason, and without being asked all the time."""
    listed_at = (await child.seen()).listed_at
    child.clock.advance(STALE)
    child.error = UpstreamFailed("it is down")
    seen = await child.seen()
    assert (names(seen), seen.reason, seen.listed_at) == (["one"], "it is down", listed_at)
    assert (await child.seen()).reason == "it is down"
    assert child.reads == 2
    child.clock.advance(RETRY)
    await child.seen()
    assert child.reads == 3
    child.clock.advance(DAY)
    assert names(await child.seen()) is None
    child.clock.advance(RETRY)
    child.error = None
    seen = await child.seen()
    assert (names(seen), seen.reason) == (["one"], None)


async def test_a_child_that_is_known_to_fail_is_asked_and_marked(child: Child) -> None:
    """Whatever found it out; and it is asked as soon as anything shows that it is back."""
    await child.seen()
    child.state = SimpleNamespace(state="failing", reason="a call failed")
    child.error = UpstreamFailed("it is down")
    for _ in range(2):
        seen = await child.seen()
        assert (names(seen), seen.reason, child.reads) == (["one"], "it is down", 2)
    child.state = SimpleNamespace(state="ready", reason=None)
    child.clock.advance(FRESH - 1)
    child.error = None
    seen = await child.seen()
    assert (names(seen), seen.reason) == (["one"], None)


async def test_a_child_that_hung_is_not_waited_for_again(child: Child) -> None:
    child.error = UpstreamTimeout("it hangs")
    assert names(await child.seen()) is None
    child.clock.advance(RETRY)
    child.gate.clear()
    async with asyncio.timeout(30):
        seen = await child.seen()
    assert (seen.entries, seen.reason) == (None, "it hangs")
    child.error = None
    child.gate.set()
    assert names(await child.settled()) == ["one"]
    assert (child.reads, child.told) == (2, [("conn_a", "tool")])


async def test_who_comes_after_the_deadline_waits_no_more(child: Child) -> None:
    """The question goes on, and what comes of it is told."""
    await child.seen()
    child.clock.advance(FRESH)
    child.gate.clear()
    await child.seen()
    child.clock.advance(STALE)
    async with asyncio.timeout(PATIENCE / 2):
        seen = await child.seen()
    assert (names(seen), seen.reason) == (["one"], "it has not answered yet")
    child.names = ["two"]
    child.gate.set()
    assert names(await child.settled()) == ["two"]
    assert child.told == [("conn_a", "tool")]


async def test_a_long_list_is_read_beside_the_event_loop(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside: list[Any] = []
    to_thread = asyncio.to_thread
    monkeypatch.setattr(asyncio, "to_thread", lambda *a: [beside.append(a), to_thread(*a)][1])
    child.names = [f"tool{n}" for n in range(LONG // 16)]
    assert len(names(await child.seen()) or ()) == LONG // 16
    await child.seen()
    assert len(beside) == 1


async def test_what_is_removed_is_forgotten(child: Child) -> None:
    await child.seen()
    child.lists.forget_others(["conn_b"])
    child.row = SimpleNamespace(id="conn_b", name="b", revision="1", edition=1, transport="http")
    child.served.known(child.row, "prompt")
    assert not child.lists._read
    assert list(child.served._kept) == [("conn_b", "prompt")]


async def test_a_connection_that_was_edited_begins_anew(child: Child) -> None:
    await child.seen()
    child.row = SimpleNamespace(id="conn_a", name="a", revision="2", edition=2, transport="http")
    child.listed, child.error = None, UpstreamFailed("other")
    assert (await child.seen()).entries is None


async def test_a_row_from_before_an_edit_does_not_bring_back_its_list(child: Child) -> None:
    """Neither is the newer read cancelled, nor the older upstream asked."""
    old = child.row
    child.row = SimpleNamespace(**{**vars(old), "revision": "2", "edition": 2})
    child.gate.clear()
    asking = asyncio.ensure_future(child.seen())
    await asyncio.sleep(0)
    stale = await child.lists.seen([old], "tool")
    assert stale["conn_a"].reason == '"a" changed meanwhile'
    child.gate.set()
    assert (names(await asking), child.reads) == (["one"], 1)


async def test_a_child_that_wants_its_list_kept_for_no_time_holds_up_nobody(child: Child) -> None:
    """It is read again behind the answer, as often as any other."""
    child.ttl = 0.0
    await child.seen()
    child.gate.clear()
    child.clock.advance(FRESH)
    async with asyncio.timeout(PATIENCE / 2):
        assert names(await child.seen()) == ["one"]
    child.gate.set()
    await child.settled()
    assert child.reads == 2
    await child.seen()
    assert child.reads == 2
