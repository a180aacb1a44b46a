"""One connection, without a socket: every answer, cut everywhere, and everything that is none."""

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.proxy import http_wire
from meshd.proxy.http_response import Response
from meshd.proxy.http_wire import MAX_BUFFERED, MAX_FIELDS, MAX_HEAD, Wire
from meshd.wire.errors import UpstreamFailed, UpstreamTimeout

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Line:
    """Stands in for the transport, for the event loop's clock, and for who keeps the connection."""

    def __init__(self) -> None:
        self.now = 0.0
        self.written: list[bytes] = []
        self.unsent = 0
        self.aborted = self.paused = self.lost_told = False
        self.kept = 0
        self.wire = Wire(self, self)  # type: ignore[arg-type]
        self.wire.connection_made(self)  # type: ignore[arg-type]

    def time(self) -> float:
        return self.now

    def put(self, wire: Wire) -> None:
        self.kept += 1

    def lost(self, wire: Wire) -> None:
        self.lost_told = True

    def get_extra_info(self, name: str) -> Any:
        return self

    def fileno(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            self.wire.connection_lost(None)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    @contextlib.asynccontextmanager
    async def asked(self) -> Any:
        """A question under way, as a task."""
        task = asyncio.create_task(self.wire.ask(b"?", "srv"))
        await asyncio.sleep(0)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def told(line: Line, pieces: list[bytes], *, end: bool = False) -> tuple[int, bytes]:
    """Status and body of an answer that comes in pieces."""
    async with line.asked() as task:
        for piece in pieces:
            line.wire.data_received(piece)
        if end:
            line.wire.connection_lost(None)
        response: Response = await task
        body = await response.read(1 << 20)
        response.release()
        return response.status, body


async def test_who_leaves_as_the_answer_comes_does_not_harm_who_asks_next() -> None:
    """The connection rests by then, or serves another already."""
    line = Line()
    first = asyncio.create_task(line.wire.ask(b"1", "srv"))
    await asyncio.sleep(0)
    line.wire.data_received(OK + b"Content-Length: 0\r\n\r\n")
    first.cancel()
    second = line.wire.ask(b"2", "srv")
    second.send(None)  # it has asked before the first notices that it was cancelled
    await asyncio.gather(first, return_exceptions=True)
    assert not line.aborted
    line.wire.data_received(OK + b"Content-Length: 0\r\n\r\n")
    with pytest.raises(StopIteration) as caught:
        second.send(None)
    assert (line.written, caught.value.value.status) == ([b"1", b"2"], 200)


ANSWERS: dict[str, tuple[bytes, int, bytes, bool]] = {
    "length": (OK + b"Content-Length: 2\r\n\r\nhi", 200, b"hi", True),
    "no body": (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, b"", True),
    "chunks": (CHUNKED + b"2\r\nhi\r\n3\r\n yo\r\n0\r\n\r\n", 200, b"hi yo", True),
    "chunk extension": (CHUNKED + b"2;a=b\r\nhi\r\n0;c\r\n\r\n", 200, b"hi", True),
    "trailers": (CHUNKED + b"2\r\nhi\r\n0\r\nX-One: 1\r\nX-Two: 2\r\n\r\n", 200, b"hi", True),
    "chunks in capitals": (OK + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n", 200, b"", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\n1", 200, b"1", True),
    "hints": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Encoding: gzip\r\n\r\n"
        b"HTTP/1.1 100 \r\n\r\n" + OK + b"Content-Length: 1\r\n\r\n1", 200, b"1", True,
    ),
    "closing": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", False),
    "old, staying": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", True,
    ),
    "no reason": (b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, b"", True),
    "upgrade that is none": (
        OK + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", True,
    ),
}  # fmt: skip
"""Bytes, status, body, and whether the connection may serve again."""

ENDLESS = (OK + b"Content-Type: a/b\r\n\r\nhi", OK + b"Connection: close\r\n\r\nhi")


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_cut_in_two_anywhere(name: str) -> None:
    """Wherever the network cuts it, it is the same answer, and its connection goes on or not."""
    raw, status, body, again = ANSWERS[name]
    for at in range(len(raw)):
        line = Line()
        assert await told(line, [raw[:at], raw[at:]]) == (status, body)
        assert (line.kept, line.aborted) == (int(again), not again)


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_byte_by_byte(name: str) -> None:
    raw, status, body, _ = ANSWERS[name]
    assert await told(Line(), [raw[i : i + 1] for i in range(len(raw))]) == (status, body)


@settings(deadline=None)
@given(st.data())
def test_answers_one_after_another_cut_at_random(data: st.DataObject) -> None:
    """One connection serves many questions; nothing of an answer leaks into the next."""
    lasting = [answer for answer in ANSWERS.values() if answer[3]]

    async def run() -> None:
        line = Line()
        for raw, status, body, _ in data.draw(st.lists(st.sampled_from(lasting), max_size=5)):
            cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
            pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
            assert await told(line, [piece for piece in pieces if piece]) == (status, body)

    asyncio.run(run())


@pytest.mark.parametrize("raw", ENDLESS)
async def test_a_body_may_last_until_the_end(raw: bytes) -> None:
    """Where nothing states its length; such a connection has served."""
    for at in range(len(raw)):
        line = Line()
        assert await told(line, [raw[:at], raw[at:]], end=True) == (200, b"hi")
        assert line.kept == 0


REFUSED = {
    "garbage": b"\x00\x01\x02 what?\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "both lengths": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, turned": OK
    + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
    "a list of lengths": OK + b"Content-Length: 2, 3\r\n\r\nhi!",
    "a signed length": OK + b"Content-Length: +2\r\n\r\nhi",
    "an empty length": OK + b"Content-Length:\r\n\r\nhi",
    "a huge length": OK + b"Content-Length: 99999999999999999999\r\n\r\nhi",
    "a folded header": OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi",
    "a header folded at once": OK + b"X:\r\n b\r\nContent-Length: 2\r\n\r\nhi",
    "a space before the colon": OK + b"Content-Length : 2\r\n\r\nhi",
    "no name": OK + b": x\r\nContent-Length: 2\r\n\r\nhi",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    "a bare CR": OK + b"X: a\rb\r\nContent-Length: 2\r\n\r\nhi",
    "a NUL": OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nhi",
    "another coding": OK + b"Transfer-Encoding: gzip\r\n\r\nhi",
    "two codings": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, then more": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": OK
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"x\r\nhi\r\n0\r\n\r\n",
    "a huge chunk": CHUNKED + b"fffffffffffffffff\r\n",
    "a chunk too long": CHUNKED + b"2\r\nhi!\r\n0\r\n\r\n",
    "a length among the trailers": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n",
    "version 2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "version 0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n",
    "too many headers": OK + b"".join(b"X-%d: 1\r\n" % n for n in range(MAX_FIELDS + 1)) + b"\r\n",
    "too long a header": OK + b"X: " + b"x" * MAX_HEAD + b"\r\n\r\n",
    "too much of a header": OK + b"X-A: %b\r\n" % (b"x" * 40_000) * 2 + b"\r\n",
    "too large a head with a body": OK
    + b"X: %b\r\nContent-Length: 2\r\n\r\nhi" % (b"x" * MAX_HEAD),
    "a reason without end": b"HTTP/1.1 200 " + b"x" * 2 * MAX_HEAD,
    "a header without end": OK + b"X: " + b"x" * 2 * MAX_HEAD,
    "too many trailers": CHUNKED + b"0\r\n" + b"X: 1\r\n" * (MAX_FIELDS + 1) + b"\r\n",
    "a trailer without end": CHUNKED + b"0\r\nX: " + b"x" * 2 * MAX_HEAD,
    "an extension without end": CHUNKED + b"1;" + b"x" * 2 * MAX_HEAD,
    "interims without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 8000,
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("step", [1 << 20, 1000], ids=["at once", "in pieces"])
async def test_what_is_no_answer_is_refused(name: str, step: int) -> None:
    """With a typed error, and the connection never serves again."""
    raw, line = REFUSED[name], Line()
    with pytest.raises(UpstreamFailed, match=r"^srv sent what is no HTTP answer: ."):
        await told(line, [raw[i : i + step] for i in range(0, len(raw), step)])
    assert line.aborted
    assert line.kept == 0


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_breaks_off_is_never_whole(name: str) -> None:
    """Whatever byte the connection ends at."""
    raw, *_ = ANSWERS[name]
    for at in range(len(raw)):
        line = Line()
        with pytest.raises(UpstreamFailed, match="closed the connection"):
            await told(line, [raw[:at]] if at else [], end=True)
        assert line.kept == 0


async def test_what_came_before_the_break_is_given_first() -> None:
    """A stream's reader gets it, and then the failure."""
    line = Line()
    async with line.asked() as task:
        line.wire.data_received(CHUNKED + b"2\r\nhi\r\n")
        chunks = (await task).chunks()
        line.wire.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
        assert await anext(chunks) == b"hi"
        with pytest.raises(UpstreamFailed, match="middle of an answer: Connection reset by peer"):
            await anext(chunks)


async def test_what_came_with_the_break_is_given_first() -> None:
    """Also to a reader who was waiting when both came."""
    line = Line()
    async with line.asked() as task:
        line.wire.data_received(CHUNKED)
        waiting = asyncio.ensure_future(anext((await task).chunks()))
        await asyncio.sleep(0)
        line.wire.data_received(b"2\r\nhi\r\n")
        line.wire.connection_lost(None)
        assert await waiting == b"hi"


async def test_a_large_body_is_no_large_head() -> None:
    """Though both come at once."""
    body = b"x" * 2 * MAX_HEAD
    head = OK + b"Content-Length: %d\r\n\r\n" % len(body)
    assert await told(Line(), [head + body]) == (200, body)


async def test_a_connection_serves_without_end() -> None:
    """What is counted of one answer does not count for the next."""
    line = Line()
    for _ in range(MAX_FIELDS):
        assert await told(line, [ANSWERS["trailers"][0]]) == (200, b"hi")


@pytest.mark.parametrize("more", [b"x", OK + b"Content-Length: 0\r\n\r\n"], ids=["junk", "answer"])
async def test_more_than_was_asked_for(more: bytes) -> None:
    """The answer counts, the rest is nobody's: with it in the way, no other question is put."""
    line = Line()
    assert await told(line, [ANSWERS["length"][0] + more]) == (200, b"hi")
    assert (line.kept, line.aborted) == (0, True)


async def test_an_answer_that_nobody_asked_for() -> None:
    """On a resting connection it ends it: the next question must not get it."""
    line = Line()
    await told(line, [ANSWERS["length"][0]])
    assert (line.kept, line.aborted) == (1, False)
    line.wire.data_received(ANSWERS["length"][0])
    assert line.aborted


async def test_an_answer_before_the_question_was_out() -> None:
    """The rest of the question would be in the way of the next one."""
    line = Line()
    line.unsent = 5
    assert await told(line, [ANSWERS["length"][0]]) == (200, b"hi")
    assert (line.kept, line.aborted) == (0, True)


async def test_one_write_per_question() -> None:
    line = Line()
    await told(line, [ANSWERS["length"][0]])
    assert line.written == [b"?"]


async def test_headers_whatever_their_case() -> None:
    """Several of one name are one list; blanks around a value are not part of it."""
    line = Line()
    async with line.asked() as task:
        line.wire.data_received(
            OK + b"cOnTent-tYPE:  Text/Event-Stream ; charset=x \t\r\nX: 1\r\nx: 2\r\n\r\n"
        )
        response = await task
        assert response.headers.get("Content-Type") == "Text/Event-Stream ; charset=x"
        assert response.content_type == "text/event-stream"
        assert response.headers.get("X") == "1, 2"
        assert response.headers.get("Y") is None
        assert response.content_length is None


async def test_a_coded_body_is_refused() -> None:
    """We ask for none and decode none; its status still counts."""
    coded = OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi"
    for read in (lambda r: r.read(100), lambda r: anext(r.chunks())):
        line = Line()
        async with line.asked() as task:
            line.wire.data_received(coded)
            response = await task
            assert response.status == 200
            with pytest.raises(UpstreamFailed, match="content encoding"):
                await read(response)


@pytest.mark.parametrize("raw", [ANSWERS["length"][0], CHUNKED + b"3\r\nhi!\r\n"])
async def test_a_body_over_the_limit_is_refused(raw: bytes) -> None:
    """Whether its length was stated or not."""
    line = Line()
    async with line.asked() as task:
        line.wire.data_received(raw)
        response = await task
        with pytest.raises(UpstreamFailed, match="more than"):
            await response.read(1)


async def test_a_stated_length_over_the_limit_is_not_waited_for() -> None:
    line = Line()
    async with line.asked() as task:
        line.wire.data_received(OK + b"Content-Length: 100\r\n\r\n")
        with pytest.raises(UpstreamFailed, match="more than"):
            await (await task).read(99)
        assert line.aborted


async def test_a_slow_reader_makes_the_upstream_wait() -> None:
    """Beyond `MAX_BUFFERED` bytes nothing is read until somebody took them."""
    line = Line()
    async with line.asked() as task:
        line.wire.data_received(OK + b"\r\n" + b"x" * MAX_BUFFERED)
        response = await task
        assert not line.paused
        line.wire.data_received(b"y")
        assert line.paused
        assert len(await anext(response.chunks())) == MAX_BUFFERED + 1
        assert not line.paused


async def test_silence_is_given_up() -> None:
    """After the patience there is, which every byte renews; being made to wait is no silence."""
    line = Line()
    async with line.asked() as task:
        line.now = 10
        line.wire.check(keep=1, patience=10)
        line.wire.data_received(CHUNKED)
        response = await task
        line.now = 20
        line.wire.check(keep=1, patience=10)
        line.wire.data_received(b"%x\r\n%b\r\n" % (MAX_BUFFERED + 1, b"x" * (MAX_BUFFERED + 1)))
        line.now = 100
        line.wire.check(keep=1, patience=10)
        chunks = response.chunks()
        assert len(await anext(chunks)) > MAX_BUFFERED
        line.now = 110
        line.wire.check(keep=1, patience=10)
        assert not line.aborted
        line.now = 110.1
        line.wire.check(keep=1, patience=10)
        with pytest.raises(
            UpstreamTimeout, match="srv stopped in the middle of an answer for 10 s"
        ):
            await anext(chunks)
        assert line.aborted


async def test_an_answer_that_does_not_begin_is_given_up() -> None:
    line = Line()
    async with line.asked() as task:
        line.now = 10.1
        line.wire.check(keep=1, patience=10)
        with pytest.raises(UpstreamTimeout, match="srv did not answer for 10 s"):
            await task


async def test_rest_has_an_end() -> None:
    """A connection is kept for `keep` seconds."""
    line = Line()
    await told(line, [ANSWERS["length"][0]])
    line.now = 5
    line.wire.check(keep=5, patience=1)
    assert not line.aborted
    line.now = 5.1
    line.wire.check(keep=5, patience=1)
    assert line.aborted


async def test_a_connection_that_is_closing_is_not_used() -> None:
    """Also when it was busy a moment ago."""
    line = Line()
    await told(line, [ANSWERS["length"][0]])
    assert line.wire.is_usable()
    line.aborted = True
    assert not line.wire.is_usable()


async def test_letting_go_of_half_an_answer_closes() -> None:
    """And of a whole one does not."""
    line = Line()
    async with line.asked() as task:
        line.wire.data_received(OK + b"Content-Length: 2\r\n\r\nh")
        (await task).release()
    assert (line.kept, line.aborted) == (0, True)


async def test_a_cancelled_question_closes() -> None:
    """Its answer would be the next one's."""
    line = Line()
    async with line.asked() as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert line.aborted


async def test_a_rested_connection_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a rested one: a look costs a system call."""
    line, looks = Line(), []

    class Poll:
        def poll(self, timeout: int) -> list[tuple[int, int]]:
            looks.append(timeout)
            return [(0, 1)]

    monkeypatch.setattr(line.wire, "_poll", Poll())
    await told(line, [ANSWERS["length"][0]])
    assert line.wire.is_usable()
    assert looks == []
    line.now = http_wire.RESTED
    assert not line.wire.is_usable()
    assert looks == [0]
