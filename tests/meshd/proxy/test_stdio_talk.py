"""The conversation with a stdio server, over a pipe that is only a list."""

import asyncio
import json

import pytest

from meshd.proxy.stdio_talk import Limits, StdioTalk
from meshd.wire.errors import UpstreamFailed, UpstreamTimeout


class ListPipe:
    """Keeps what was written; never read from."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    @property
    def unread(self) -> int:
        return sum(map(len, self.lines))

    def write(self, data: bytes) -> None:
        self.lines.append(data)


class Fixture:
    """A conversation, its pipe, and a clock moved by hand."""

    def __init__(self, monkeypatch, **limits: int) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self._now)
        self.pipe = ListPipe()
        self.broken: list[str] = []
        self.talk = StdioTalk(self.pipe, "srv", Limits(**limits), self.broken.append)

    async def passes(self, seconds: float) -> None:
        self._now += seconds
        for _ in range(4):  # the timer, the waiter it wakes, the task around that, one to spare
            await asyncio.sleep(0)

    async def request(self, method: str, params: bytes = b"", **options) -> asyncio.Task:
        task = asyncio.create_task(self.talk.request(method, params, **options))
        await asyncio.sleep(0)
        return task


@pytest.fixture
async def chat(monkeypatch):
    chat = Fixture(monkeypatch)
    yield chat
    chat.talk.end(UpstreamFailed("the test is over"))


PROGRESS = b'{"method":"notifications/progress","params":{"progressToken":1}}\n'


async def test_progress_renews_the_deadline(chat):
    """Also when the caller does not listen to it; only progress of the call itself."""
    task = await chat.request("m", b'{"_meta":{"progressToken":"t"}}', deadline=10, ceiling=100)
    for _ in range(3):
        await chat.passes(9)
        chat.talk.received(PROGRESS)
    assert not task.done()
    chat.talk.received(PROGRESS.replace(b":1}", b":2}"))
    await chat.passes(10)
    with pytest.raises(UpstreamTimeout):
        await task


async def test_a_call_whose_caller_wants_no_progress_is_renewed_by_it_all_the_same(chat):
    """The server is asked for it, and the caller not troubled with it."""
    heard: list[bytes] = []
    task = await chat.request(
        "tools/call", b'{"name":"slow"}', deadline=10, ceiling=100, on_notification=heard.append
    )
    for _ in range(3):
        await chat.passes(9)
        chat.talk.received(PROGRESS)
    assert not task.done()
    assert heard == []
    await chat.passes(11)
    assert isinstance(task.exception(), UpstreamTimeout)


async def test_a_timed_out_request_is_cancelled_at_the_server(chat):
    """By its id, once."""
    task = await chat.request("m", deadline=10)
    await chat.passes(11)
    assert isinstance(task.exception(), UpstreamTimeout)
    sent, cancelled = chat.pipe.lines
    assert sent == b'{"jsonrpc":"2.0","id":1,"method":"m"}\n'
    assert json.loads(cancelled) == {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": 1, "reason": "it took too long"},
    }


async def test_initialize_is_never_cancelled(chat):
    """The specification forbids it."""
    task = await chat.request("initialize", deadline=10)
    await chat.passes(11)
    assert isinstance(task.exception(), UpstreamTimeout)
    assert len(chat.pipe.lines) == 1


@pytest.mark.parametrize(
    ("answer", "result", "error"),
    [
        (b'{"id":1,"result":null}', b"null", None),
        (b'{"id":1,"result":{"a":1.0},"error":null}', b'{"a":1.0}', None),
        (b'{"id":1,"result":null,"error":{"code":1}}', None, b'{"code":1}'),
    ],
)
async def test_answers(chat, answer, result, error):
    """An error that is null is none; a result that is null is one."""
    task = await chat.request("m")
    chat.talk.received(answer + b"\n")
    reply = await task
    assert (reply.result, reply.error) == (result, error)


async def test_an_answer_without_result_and_error(chat):
    """It ends the call, and only that."""
    task, other = await chat.request("m"), await chat.request("m")
    chat.talk.received(b'{"id":1}\n{"id":2,"result":2}\n')
    with pytest.raises(UpstreamFailed, match="neither result nor error"):
        await task
    assert (await other).result == b"2"


@pytest.mark.parametrize("answer", [b'{"id":"1","result":1}', b'{"id":null,"error":{}}',
                                    b'{"id":2,"result":1}', b'{"id":1.0,"result":1}'])  # fmt: skip
async def test_answers_to_nobody(chat, answer):
    """An id that we did not give is not ours."""
    task = await chat.request("m")
    chat.talk.received(answer + b"\n")
    await asyncio.sleep(0)
    assert not task.done()
    chat.talk.received(b'{"id":1,"result":1}\n')
    await task


async def test_a_server_that_asks_without_reading(monkeypatch):
    """What it asks is answered while there is room; then it has itself to blame."""
    chat = Fixture(monkeypatch, unread_bytes=200)
    chat.talk.received(b'{"id":1,"method":"ping"}\n' * 1000)
    assert 0 < chat.pipe.unread <= 250
    with pytest.raises(UpstreamFailed, match="does not read its input"):
        chat.talk.notify("notifications/x", b'{"x":"%b"}' % (b"x" * 200))
    assert chat.broken == []


async def test_nothing_is_heard_after_the_end(chat):
    """What the pipe still holds is of no interest."""
    told = []
    chat.talk.listen(lambda method, _: told.append(method))
    chat.talk.end(UpstreamFailed("first"))
    chat.talk.end(UpstreamFailed("second"))
    chat.talk.received(b'{"method":"m"}\n{"id":1,"method":"ping"}\n' + b"x" * (9 << 20))
    assert (told, chat.pipe.lines, chat.broken) == ([], [], [])
    with pytest.raises(UpstreamFailed, match="first"):
        chat.talk.notify("m")


async def test_the_largest_line(chat):
    """8 MiB pass, one byte more is reported."""
    task = await chat.request("m")
    head, tail = b'{"id":1,"result":"', b'"}'
    text = b"x" * ((8 << 20) - len(head) - len(tail))
    chat.talk.received(head + text)
    chat.talk.received(tail + b"\n")
    assert len((await task).result) == len(text) + 2
    assert chat.broken == []
    chat.talk.received(b"x" * ((8 << 20) + 1))
    assert chat.broken == ['"srv" wrote a message of more than 8388608 bytes']
