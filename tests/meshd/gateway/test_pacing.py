"""Comments in a stream that is passed on: between events, never in the middle of one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from meshd.gateway.pacing import Paced, between
from meshd.protocol.sse import COMMENT, message


class Chunks:
    """Gives what is put into it, as often as waiting for it is given up."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.queue.get()
        if chunk is None:
            raise StopAsyncIteration
        return chunk


async def test_a_comment_comes_only_where_an_event_ended() -> None:
    source = Chunks()
    paced = Paced(source, 0.01)
    assert await anext(paced) == COMMENT
    source.queue.put_nowait(b"data: a\n\n")
    assert await anext(paced) == b"data: a\n\n"
    assert await anext(paced) == COMMENT
    source.queue.put_nowait(b"data: half")
    assert await anext(paced) == b"data: half"
    rest = asyncio.ensure_future(anext(paced))
    await asyncio.sleep(0.05)  # several times the pause
    assert not rest.done()
    source.queue.put_nowait(b" done\r\n\r\n")
    assert await rest == b" done\r\n\r\n"
    assert await anext(paced) == COMMENT
    source.queue.put_nowait(None)
    assert [chunk async for chunk in paced] == []


async def given(queue: asyncio.Queue[bytes | None]) -> AsyncGenerator[bytes, None]:
    """What is put into a queue, until None is."""
    while (chunk := await queue.get()) is not None:
        yield chunk


async def test_news_comes_only_where_an_event_ended() -> None:
    """Once for all that was told meanwhile, also where chunks part the end of an event."""
    stream, news = asyncio.Queue[bytes | None](), asyncio.Queue[bytes | None]()
    told = between(given(stream), given(news))
    news.put_nowait(b"1")
    assert await anext(told) == message(b"1")
    for chunk in (b"data: half", b" done\n"):
        stream.put_nowait(chunk)
        assert await anext(told) == chunk
    for one in (b"2", b"3"):
        news.put_nowait(one)
    rest = asyncio.ensure_future(anext(told))
    while news.qsize():
        await asyncio.sleep(0)
    stream.put_nowait(b"\n")
    assert [await rest, await anext(told)] == [b"\n", message(b"3")]
    stream.put_nowait(None)
    assert [chunk async for chunk in told] == []
