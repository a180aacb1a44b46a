"""How long a list is served without asking for it, and what is served when it cannot be had."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from meshd.services import served_lists as module
from meshd.services.directory import ConnectionRow
from meshd.services.served_lists import ServedLists, Tooled
from meshd.wire.connection import ConnectionAdd
from meshd.wire.errors import NeedsLogin, UpstreamFailed
from tests.support.fault import status
from tests.support.floors import Floors
from tests.support.upstream import Upstream, result, tool, upstream


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


class Lists:
    """The lists of one connection, and the server behind it."""

    def __init__(self, house: Floors, server: Upstream) -> None:
        self.house = house
        self.server = server
        self.served = ServedLists(house.tools, house.upstreams, house.health, house.clock)

    @property
    def row(self) -> ConnectionRow:
        return self.house.directory.view.by_name[self.house.owner.org, "a"]

    async def later(self, seconds: float) -> None:
        self.house.clock.advance(seconds)
        await self.house.directory.refresh()

    async def get(self) -> Tooled:
        return await self.served.get(self.row)

    async def names(self) -> list[str]:
        return list((await self.get()).listed.tools)

    async def renewed(self) -> None:
        """What was begun behind an answer has ended."""
        await self.house.tools.relist(self.row)

    @property
    def asked(self) -> int:
        return len(self.server.of("tools/list"))

    def change(self, *names: str, **more: Any) -> None:
        self.server.replies["tools/list"] = result({"tools": list(map(tool, names)), **more})


@pytest.fixture
async def lists(house: Floors, server: Upstream) -> Lists:
    """The server lists `echo` and `write`, and was asked once."""
    await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))
    made = Lists(house, server)
    assert made.asked == 1
    return made


async def test_nobody_asks_while_it_is_fresh(lists: Lists) -> None:
    for _ in range(5):
        assert await lists.names() == ["echo", "write"]
    assert lists.asked == 1


async def test_the_old_one_once_more_while_it_is_renewed(lists: Lists) -> None:
    lists.change("other")
    await lists.later(module.FRESH)
    assert await lists.names() == ["echo", "write"]
    await lists.renewed()
    assert await lists.names() == ["other"]
    assert lists.asked == 2


async def test_an_old_one_is_waited_for(lists: Lists) -> None:
    lists.change("other")
    await lists.later(module.STALE)
    assert await lists.names() == ["other"]


async def test_a_change_that_is_told_of_is_waited_for(lists: Lists) -> None:
    lists.change("other")
    lists.house.upstreams.note_change(lists.row)
    assert await lists.names() == ["other"]
    assert await lists.names() == ["other"]
    assert lists.asked == 2


@pytest.mark.parametrize(
    ("ttl", "waits", "asked"),
    [(0, 0, 3), (1000, 0.9, 2), (1000, 1, 3), (20_000, 19, 2), (3_600_000, 60, 3), ("x", 4, 2)],
)
async def test_the_server_says_how_long(lists: Lists, ttl: Any, waits: float, asked: int) -> None:
    """For that long nobody asks, at most a minute; afterwards nobody gets the old one."""
    lists.change("echo", ttlMs=ttl)
    await lists.house.tools.refresh(lists.row)
    await lists.later(waits)
    await lists.get()
    assert lists.asked == asked


@pytest.mark.parametrize(
    ("line", "error"), [("500 Oops", UpstreamFailed), ("401 Unauthorized", NeedsLogin)]
)
async def test_a_failure_is_covered_up_and_marked(
    lists: Lists, line: str, error: type[Exception]
) -> None:
    """For a day, and without asking again at once; then it is an error."""
    lists.server.replies["tools/list"] = status(line)
    await lists.later(module.STALE)
    served = await lists.get()
    assert list(served.listed.tools) == ["echo", "write"]
    assert served.reason is not None
    asked = lists.asked
    assert (await lists.get()).reason == served.reason
    assert lists.asked == asked
    await lists.later(module.WORN)
    with pytest.raises(error):
        await lists.get()


async def test_a_failure_behind_an_answer_marks_the_next(lists: Lists) -> None:
    lists.server.replies["tools/list"] = status("500 Oops")
    await lists.later(module.FRESH)
    assert (await lists.get()).reason is None
    with suppress(UpstreamFailed):
        await lists.renewed()
    assert (await lists.get()).reason is not None


async def test_what_was_never_listed_is_an_error(house: Floors, server: Upstream) -> None:
    server.replies["tools/list"] = status("500 Oops")
    await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))
    with pytest.raises(UpstreamFailed):
        await Lists(house, server).get()
