"""Call records: queued without waiting, written in batches, read back at once, never lost silently."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from meshd.core.tasks import TaskGroup
from meshd.services import records as module
from meshd.services.directory import ConnectionRow
from meshd.services.record_rows import Stopwatch
from meshd.store.db import StoreUnavailable
from meshd.wire.call import RecordList, RecordTail
from meshd.wire.connection import ConnectionAdd
from meshd.wire.errors import BadRequest, NotFound
from tests.support.floors import Floors
from tests.support.principals import key_principal


async def row(house: Floors, name: str = "github") -> ConnectionRow:
    made = await house.connections.add(
        house.owner, ConnectionAdd(name=name, url="http://127.0.0.1:1/")
    )
    return house.directory.view.connections[made.id]


def take(house: Floors, it: ConnectionRow, tool: str, **more: object) -> str:
    """One call, a second later than the one before."""
    house.clock.advance(1)
    given = {
        "arguments": b'{"token":"hunter2"}',
        "response": b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}',
        **more,
    }
    return house.records.take(
        it, house.owner, tool, Stopwatch(house.clock.now(), 0.0, 0.1), **given
    )


@asynccontextmanager
async def writing(house: Floors) -> AsyncIterator[None]:
    """With the writer running, as in the daemon."""
    async with TaskGroup("test") as tasks:
        tasks.start("records", house.records.write_batches())
        yield
        await tasks.stop()
        await house.records.flush()


async def test_a_call_that_was_answered_is_in_the_next_list(house: Floors) -> None:
    it = await row(house)
    async with writing(house):
        for number in range(3):
            take(house, it, f"t{number}")
            assert [r.tool for r in await house.records.all(house.owner, RecordList(limit=1))] == [
                f"t{number}"
            ]


async def test_newest_first_and_filtered(house: Floors) -> None:
    github, fs = await row(house), await row(house, "fs")
    take(house, github, "a")
    take(house, fs, "b", response=None, error="broke")
    take(house, github, "c", response=b'{"error":{"message":"bad"}}')
    await house.records.flush()

    async def tools(**asked: object) -> list[str]:
        return [r.tool for r in await house.records.all(house.owner, RecordList(**asked))]

    assert await tools() == ["c", "b", "a"]
    assert await tools(limit=2) == ["c", "b"]
    assert await tools(connection="github") == ["c", "a"]
    assert await tools(connection=fs.id) == ["b"]
    assert await tools(failed=True) == ["c", "b"]
    assert await tools(failed=True, connection="github") == ["c"]
    with pytest.raises(NotFound):
        await tools(connection="nobody")
    for limit in (0, -1, 1001, 2**70):
        with pytest.raises(BadRequest):
            await tools(limit=limit)


async def test_one_record_with_stages_and_bodies(house: Floors) -> None:
    call = take(house, await row(house), "a", client="curl/8")
    await house.records.flush()
    shown = await house.records.show(house.owner, call)
    assert (shown.id, shown.tool, shown.principal, shown.ok, shown.client) == (
        call,
        "a",
        "ada",
        True,
        "curl/8",
    )
    assert bytes(shown.arguments) == b'{"token":"***"}'
    stages = shown.stages
    assert (
        stages.receive + stages.decide + stages.upstream + stages.answer
        == shown.duration_ms
        == 100.0
    )


async def test_unknown_and_foreign_records_answer_alike(house: Floors) -> None:
    call = take(house, await row(house), "a")
    await house.records.flush()
    stranger = key_principal(org="org_other")
    said = []
    for who, name in (
        (stranger, call),
        (house.owner, "call_aaaaaaaaaaaaaaaa"),
        (house.owner, "x\x1b"),
    ):
        with pytest.raises(NotFound) as refused:
            await house.records.show(who, name)
        assert refused.value.message.isprintable()
        said.append(refused.value.message.replace(name, "ID"))
    assert said[0] == said[1]
    assert await house.records.all(stranger, RecordList()) == []


async def test_calls_of_today(house: Floors) -> None:
    it = await row(house)
    take(house, it, "a")
    await house.records.flush()
    assert await house.records.count_today(house.owner) == 1
    house.clock.advance(86_400)
    assert await house.records.count_today(house.owner) == 0


async def test_a_full_queue_drops_and_counts(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = await row(house)
    monkeypatch.setattr(module, "MAX_QUEUED", 3)
    calls = [take(house, it, "a") for _ in range(5)]
    await house.records.flush()
    assert (house.records.counters.written, house.records.counters.dropped) == (3, 2)
    assert len(set(calls)) == 5
    monkeypatch.setattr(module, "MAX_QUEUED_BYTES", 1000)
    take(house, it, "big", arguments=b"x" * 1001)
    assert house.records.counters.dropped == 3
    take(house, it, "small")
    await house.records.flush()
    assert house.records.counters.written == 4


async def test_many_batches(house: Floors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 4)
    it = await row(house)
    for number in range(10):
        take(house, it, f"t{number}")
    await house.records.flush()
    tools = [r.tool for r in await house.records.all(house.owner, RecordList())]
    assert tools == [f"t{n}" for n in reversed(range(10))]


async def test_a_body_that_breaks_every_rule_costs_its_own_record_only(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its neighbours nor the writer, which no one would start again."""
    real = module.ended

    def reading(taken):
        if taken.tool == "poison":
            raise ZeroDivisionError
        return real(taken)

    monkeypatch.setattr(module, "ended", reading)
    it = await row(house)
    async with writing(house):
        for tool in ("a", "poison", "b"):
            take(house, it, tool)
        assert [r.tool for r in await house.records.all(house.owner, RecordList())] == ["b", "a"]
        take(house, it, "c")
        assert len(await house.records.all(house.owner, RecordList())) == 3
    assert (house.records.counters.written, house.records.counters.dropped) == (3, 1)


@pytest.mark.parametrize(
    "more",
    [{"client": "\udcff\x00"}, {"response": b'{"result":{"x":"\xff"}}'}, {"response": b'{"result":{"isError":true,"x":"\xff"}}'},
     {"arguments": b'{"n":' + b"9" * 6000 + b"}"}, {"arguments": b"[" * 50_000}, {"error": "\udcff"}],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
async def test_hostile_bodies_and_headers_are_recorded(house: Floors, more: dict) -> None:
    it = await row(house)
    take(house, it, "before")
    call = take(house, it, "hostile", **more)
    await house.records.flush()
    assert (house.records.counters.written, house.records.counters.dropped) == (2, 0)
    assert (await house.records.show(house.owner, call)).tool == "hostile"


async def test_a_failing_database_is_counted_and_survived(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = await row(house)

    async def fail(*_: object) -> None:
        raise StoreUnavailable("full")

    take(house, it, "lost")
    with monkeypatch.context() as broken:
        broken.setattr(house.calls, "write_many", fail)
        await house.records.flush()
    assert house.records.counters.dropped == 1
    take(house, it, "kept")
    await house.records.flush()
    assert [r.tool for r in await house.records.all(house.owner, RecordList())] == ["kept"]


async def test_stopping_in_the_middle_of_a_batch_loses_nothing(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled before, while and after it is written: each record is there once."""
    it = await row(house)
    write = house.calls.write_many
    for before in (True, False):
        reached = asyncio.Event()

        async def held(query: str, rows: object, *, reached=reached, before=before) -> None:
            if not before:
                await write(query, rows)
            reached.set()
            await asyncio.Event().wait()

        take(house, it, "a")
        with monkeypatch.context() as slow:
            slow.setattr(house.calls, "write_many", held)
            flushing = asyncio.ensure_future(house.records.flush())
            await reached.wait()
            flushing.cancel()
            await asyncio.gather(flushing, return_exceptions=True)
        await house.records.flush()
    assert len(await house.records.all(house.owner, RecordList())) == 2


async def test_following(house: Floors) -> None:
    it = await row(house)
    take(house, it, "before")
    await house.records.flush()
    async with writing(house), aclosing(house.records.tail(house.owner, RecordTail())) as tail:
        assert await anext(tail) is None
        take(house, it, "after")
        async with asyncio.timeout(0.9):
            record = await anext(tail)
        assert record is not None
        assert record.tool == "after"


async def test_the_cursor_of_a_tail(house: Floors) -> None:
    it = await row(house)
    for tool in "abcd":
        take(house, it, tool)
    await house.records.flush()

    async def tools(**asked: object) -> list[str]:
        tail = house.records.tail(house.owner, RecordTail(follow=False, **asked))
        return [record.tool async for record in tail if record is not None]

    every = [
        r async for r in house.records.tail(house.owner, RecordTail(follow=False)) if r is not None
    ]
    assert await tools() == ["a", "b", "c", "d"]
    assert await tools(after=every[1].seq) == ["c", "d"]
    assert await tools(after=0, limit=2) == ["a", "b"]
    assert await tools(since="1s") == ["c", "d"]
    for asked in ({"after": -1}, {"after": 2**63}, {"limit": 0}, {"since": "x"}):
        with pytest.raises(BadRequest):
            await tools(**asked)


async def test_a_long_call_hides_no_short_ones_from_since(house: Floors) -> None:
    """Records come in the order of their ends; `since` is about their beginnings."""
    it = await row(house)
    began = house.clock.now()
    house.clock.advance(60)
    take(house, it, "short")
    house.records.take(it, house.owner, "long", Stopwatch(began, 0.0), arguments=b"", response=None)
    await house.records.flush()
    tail = house.records.tail(house.owner, RecordTail(follow=False, since="30s"))
    assert "short" in [record.tool async for record in tail if record is not None]
