"""A stdio server from its handshake to its end, as the callers who share it see it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from meshd.protocol.envelope import bare
from meshd.protocol.jsonrpc import Reply
from meshd.proxy.adapter import Asker
from meshd.proxy.child import Command
from meshd.proxy.stdio import StdioUpstream
from meshd.proxy.stdio_talk import Limits
from meshd.wire.errors import UpstreamFailed, UpstreamTimeout
from meshd.wire.version import VERSION
from tests.meshd.proxy.stdio_servers import quiet_loop, server


@asynccontextmanager
async def started(folder: Path, *arguments: str, **options: Any) -> AsyncIterator[StdioUpstream]:
    command = server(folder, *arguments)
    upstream = await StdioUpstream.start(command, folder=folder / "children", **options)
    with quiet_loop():
        try:
            yield upstream
        finally:
            await upstream.stop()


async def ask(upstream: StdioUpstream, method: str, **params: Any) -> Any:
    reply = await upstream.request(method, json.dumps(params).encode())
    return json.loads(reply.result)


async def test_handshake(tmp_path):
    """We say who we are and promise nothing; the answer is kept as it came."""
    async with started(tmp_path) as upstream:
        welcome = json.loads(upstream.initialize_result)
        assert welcome["serverInfo"] == {"name": "t", "version": "1"}
        assert welcome["got"] == {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "meshctl", "version": VERSION},
        }
        assert (await ask(upstream, "seen"))["told"] == ["notifications/initialized"]
        assert upstream.alive
        assert upstream.initialize_result.startswith(b'{"protocolVersion": "2025-11-25", ')


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18"])
async def test_older_servers_are_accepted(tmp_path, version):
    """Every revision with a handshake."""
    async with started(tmp_path, version) as upstream:
        assert json.loads(upstream.initialize_result)["protocolVersion"] == version


async def test_a_real_server(tmp_path):
    """`mcp-server-time`, which speaks both eras."""
    command = Command((sys.executable, "-m", "mcp_server_time"))
    upstream = await StdioUpstream.start(command, folder=tmp_path)
    try:
        assert upstream.greeting.era == "stateless"
        call = bare(b'{"name":"get_current_time","arguments":{"timezone":"Asia/Tokyo"}}')
        reply, era = await upstream.adapter.ask("tools/call", call, Asker("key_1"), print)
        assert era == "stateless"
        text = json.loads(reply.result)["content"][0]["text"]
        assert json.loads(text)["timezone"] == "Asia/Tokyo"
    finally:
        await upstream.stop()


@pytest.mark.parametrize(
    ("source", "says", "facts"),
    [
        (
            "import sys; sys.stderr.write('no module x\\n'); sys.exit(2)",
            "exited with code 2",
            {"exit": "2", "stderr": "no module x"},
        ),
        ("import os; os.abort()", "was ended by SIGABRT", {"exit": "-6"}),
        (
            "print('usage: x', flush=True); import time; time.sleep(600)",
            r"did not answer initialize within 1 s",
            {"stdout": "usage: x"},
        ),
        (
            "import time\nwhile print('\\x1b[1mhi', flush=True) is None: pass",
            "wrote 10 lines that are not JSON-RPC",
            {"stdout": "\\x1b[1mhi"},
        ),
        ('input(); print(\'{"id":1,"result":{}}\')', "without a protocolVersion", {}),
        (
            'input(); print(\'{"id":1,"result":{"protocolVersion":"2026-07-28"}}\')',
            "2026-07-28",
            {},
        ),
        ('input(); print(\'{"id":1,"error":{"message":"go away"}}\')', "go away", {}),
    ],
)
async def test_a_failed_handshake_says_why(tmp_path, source, says, facts):
    """With the exit, the last lines of stderr and the first that is no message; nothing stays."""
    command = server(tmp_path, source=source)
    with quiet_loop(), pytest.raises(UpstreamFailed, match=says) as caught:
        await StdioUpstream.start(
            command,
            folder=tmp_path / "children",
            start_deadline=1.0 if "sleep" in source else 30,
            limits=Limits(skipped_lines=10),
        )
    assert facts.items() <= caught.value.facts.items()
    assert list(tmp_path.glob("children/*")) == []


async def test_200_calls_whose_answers_come_shuffled(tmp_path):
    """Each caller gets the answer to its own request."""
    async with started(tmp_path) as upstream:
        answers = await asyncio.gather(
            *(ask(upstream, "shuffle", of=200, n=number) for number in range(200))
        )
        assert [answer["n"] for answer in answers] == list(range(200))
        assert upstream.talk.in_flight == 0


ODD = [
    b'{"n": 9223372036854775808,"f":1.0,"e":1E400}',
    b'{  "a" :\t[ ] , "unknown":{"x":null} }',
    b'{"arguments":{"a":1,"a":2},"s":"\\u00e9\\/\\ud83d\\ude00"}',
    '{"ü":"日本"}'.encode(),
    b'{"_meta":{"other":1},"name":"progress"}',
    b"{}",
]


@pytest.mark.parametrize("params", ODD)
async def test_params_are_forwarded_byte_for_byte(tmp_path, params):
    """Big numbers, `1.0`, odd spacing, doubled and unknown names."""
    async with started(tmp_path) as upstream:
        reply = await upstream.request("line", params)
        line = json.loads(reply.result)["line"].encode()
        assert line.endswith(b',"params":' + params + b"}\n")


async def test_line_breaks_in_params_cannot_start_another_message(tmp_path):
    """White space on HTTP would be a new message on the pipe."""
    async with started(tmp_path) as upstream:
        reply = await upstream.request("line", b'{\r\n"a":\n1}')
        assert json.loads(reply.result)["line"].endswith('"params":{  "a": 1}}\n')


async def test_answers_keep_their_bytes(tmp_path):
    """Results and errors alike; other lines between them do no harm."""
    result = '{"n":18446744073709551616, "f":1.0,  "x":{"y":[]}}'
    async with started(tmp_path) as upstream:
        ident = (await ask(upstream, "line"))["line"]
        following = json.loads(ident)["id"] + 1
        text = f'banner\n\n{{"level":30}}\n{{"id":{following},"result":{result}}}\r\n'
        reply = await upstream.request("raw", json.dumps({"text": text}).encode())
        assert reply == Reply(result.encode(), None)
        assert upstream.talk.skipped == 2
        reply = await upstream.request("fail", b"{}")
        assert reply == Reply(None, b'{"code": 7, "message": "no", "data": [1.0]}')


async def test_batches_and_bytes_that_are_no_text(tmp_path):
    """Servers of 2025-03-26 may batch; a Latin-1 server does not spoil the caller's JSON."""
    async with started(tmp_path) as upstream:
        told = []
        upstream.listen(lambda method, message: told.append((method, message)))
        following = json.loads((await ask(upstream, "line"))["line"])["id"] + 1
        text = f'[{{"method":"notifications/a"}},{{"id":{following},"result":"caf\xe9"}}]\n'
        reply = await upstream.request("raw", json.dumps({"text": text}).encode())
        assert reply.result == '"caf\ufffd"'.encode()
        assert told == [("notifications/a", b'{"method":"notifications/a"}')]


async def test_progress_goes_to_its_own_caller_under_its_own_token(tmp_path):
    """Two callers with equal tokens, one with a text, one hidden behind escapes, one with none."""
    async with started(tmp_path) as upstream:

        async def call(name: bytes, token: bytes, steps: list[int]) -> tuple[list[Any], int | str]:
            heard = []
            params = b'{"_meta":{"%b":%b,"k":1.0},"steps":%b}' % (
                name,
                token,
                json.dumps(steps).encode(),
            )
            reply = await upstream.request("progress", params, on_notification=heard.append)
            assert reply.result is not None
            return heard, json.loads(reply.result)["token"]

        plain = b"progressToken"
        outcomes = await asyncio.gather(
            call(plain, b"1", [1, 2]),
            call(plain, b"1", [3]),
            call(plain, b'"a\\u0062"', [4]),
            call(b"\\u0070rogressToken", b"1", [5]),
        )
        tokens = [token for _, token in outcomes]
        assert len(set(tokens)) == 4
        expected = [(b"1", [1, 2]), (b"1", [3]), (b'"a\\u0062"', [4]), (b"1", [5])]
        for (heard, _), (token, steps) in zip(outcomes, expected, strict=True):
            assert heard == [
                b'{"jsonrpc":"2.0","method":"notifications/progress","params":'
                b'{"progressToken":%b,"progress":%d,"x":{"y": [1.0]}}}' % (token, step)
                for step in steps
            ]


async def test_foreign_progress_reaches_nobody(tmp_path):
    """A token that no caller gave, even if it is the number of a request."""
    async with started(tmp_path) as upstream:
        heard, told = [], []
        upstream.listen(lambda method, _: told.append(method))
        following = json.loads((await ask(upstream, "line"))["line"])["id"] + 1
        text = "".join(
            f'{{"method":"notifications/progress","params":{{"progressToken":{token}}}}}\n'
            for token in (following, 99, '"x"', "null")
        )
        params = json.dumps({"text": text}).encode()
        await upstream.request("raw", params, on_notification=heard.append)
        assert (heard, told) == ([], [])


async def test_a_cancelled_caller_cancels_at_the_server(tmp_path):
    """And its late answer meets nobody."""
    async with started(tmp_path) as upstream:
        task = asyncio.create_task(upstream.request("hang", b"{}"))
        await ask(upstream, "seen")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert upstream.talk.in_flight == 0
        (number,) = (await ask(upstream, "seen"))["cancelled"]
        await ask(upstream, "raw", text=f'{{"id":{number},"result":1}}\n')


async def test_deadline(tmp_path):
    """A typed error, and the server is told."""
    async with started(tmp_path) as upstream:
        with pytest.raises(UpstreamTimeout, match=r'hang of "python\S*" was not answered within'):
            await upstream.request("hang", b"{}", deadline=0.02)
        with pytest.raises(UpstreamTimeout):
            await upstream.request("hang", b"{}", ceiling=0.02)
        assert len((await ask(upstream, "seen"))["cancelled"]) == 2


async def test_what_the_server_asks_is_declined(tmp_path):
    """But `ping` is answered; ids of any type come back as they were."""
    asked = [
        '{"id":"p\\u00e9","method":"ping"}',
        '{"id":7,"method":"sampling/createMessage","params":{}}',
        '{"id":8,"method":"roots/list"}',
        '{"id":9,"method":"elicitation/create"}',
        '{"method":"notifications/cancelled","params":{"requestId":7}}',
    ]
    async with started(tmp_path) as upstream:
        told = []
        upstream.listen(lambda method, _: told.append(method))
        await ask(upstream, "raw", text="\n".join(asked) + "\n")
        pong, *declined = (await ask(upstream, "seen"))["answers"]
        assert pong == {"jsonrpc": "2.0", "id": "pé", "result": {}}
        assert [answer["id"] for answer in declined] == [7, 8, 9]
        assert {answer["error"]["code"] for answer in declined} == {-32601}
        assert "no client to ask" in declined[0]["error"]["message"]
        assert told == []


async def test_notifications_of_no_call_go_to_all_listeners(tmp_path):
    """Byte for byte, until they unsubscribe; one that fails harms nobody."""
    changed = '{"method":"notifications/tools/list_changed", "x":1.0}'
    async with started(tmp_path) as upstream:
        first, second = [], []

        def broken(method: str, message: bytes) -> None:
            raise RuntimeError

        upstream.listen(broken)
        leave = upstream.listen(lambda *told: first.append(told))
        upstream.listen(lambda *told: second.append(told))
        await ask(upstream, "raw", text=changed + "\n")
        leave()
        leave()
        await ask(upstream, "raw", text=changed + "\n")
        told = ("notifications/tools/list_changed", changed.encode())
        assert (first, second) == ([told], [told, told])


async def test_the_end_fails_every_pending_request(tmp_path):
    """Each with the exit code and the last words; so does whatever is asked later."""
    async with started(tmp_path) as upstream:
        pending = [upstream.request("hang", b"{}") for _ in range(50)]
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(
                *pending, upstream.request("die", b"{}"), return_exceptions=True
            )
            await upstream.closed.wait()
        assert {type(outcome) for outcome in outcomes} == {UpstreamFailed}
        assert len(set(map(id, outcomes))) == 51
        for error in outcomes:
            assert error.message.endswith("exited with code 3")
            assert error.facts == {"exit": "3", "stderr": "the disk\nis \\x1b[31mfull"}
        assert not upstream.alive
        for late in (upstream.request("line", b"{}"), asyncio.to_thread(upstream.notify, "x")):
            with pytest.raises(UpstreamFailed, match="exited with code 3"):
                await late


async def test_stop_fails_every_pending_request(tmp_path):
    """Nobody hangs when the daemon stops."""
    async with started(tmp_path) as upstream:
        pending = asyncio.create_task(upstream.request("hang", b"{}"))
        await ask(upstream, "seen")
        await upstream.stop()
        with pytest.raises(UpstreamFailed, match="was stopped"):
            await pending
        assert upstream.child.returncode == 0


@pytest.mark.parametrize("descriptor", [0, 1])
async def test_a_server_that_closes_a_pipe_has_ended(tmp_path, monkeypatch, descriptor):
    """Although its process lives on and sleeps."""
    monkeypatch.setattr("meshd.proxy.child.MUTE_WAIT", 0.01)
    async with started(tmp_path) as upstream:
        with pytest.raises(UpstreamFailed, match="closed its input or output"):
            await ask(upstream, "mute", descriptor=descriptor)
        upstream.child.kill()


async def test_a_line_over_the_limit_ends_the_server(tmp_path):
    """Its memory is not ours to fill."""
    async with started(tmp_path, limits=Limits(line_bytes=1 << 20)) as upstream:
        longest = "x" * ((1 << 20) - 100)
        assert len((await ask(upstream, "line", x=longest[:-200]))["line"]) > 1 << 19
        with pytest.raises(UpstreamFailed, match="wrote a message of more than 1048576 bytes"):
            await ask(upstream, "raw", text=" ", times=1 << 21)
        async with asyncio.timeout(10):
            await upstream.child.stop()
        assert upstream.child.fate == "was ended by SIGKILL"


async def test_too_many_lines_that_are_no_messages_end_the_server(tmp_path):
    """A few are a banner, a thousand are a mistake."""
    async with started(tmp_path) as upstream:
        await ask(upstream, "raw", text="banner\n", times=999)
        with pytest.raises(UpstreamFailed, match="wrote 1000 lines that are not JSON-RPC"):
            await ask(upstream, "raw", text='{"a":' * 100_000 + "\n")


async def test_a_server_that_does_not_read_costs_a_bounded_memory(tmp_path):
    """What waits for it is bounded; requests fail at once, or by their deadline."""
    async with started(tmp_path, limits=Limits(unread_bytes=1 << 20)) as upstream:
        await ask(upstream, "deaf")
        params = b'{"x":"%b"}' % (b"x" * 250_000)
        outcomes = await asyncio.gather(
            *(upstream.request("line", params, deadline=0.05) for _ in range(10)),
            return_exceptions=True,
        )
        kinds = [type(outcome) for outcome in outcomes]
        assert set(kinds) == {UpstreamFailed, UpstreamTimeout}
        assert "does not read its input" in str(outcomes[-1])
        assert upstream.child.unread <= 1 << 20
        upstream.child.kill()


async def test_requests_in_flight_are_bounded(tmp_path):
    """A server that answers nothing does not collect callers without end."""
    async with started(tmp_path, limits=Limits(calls=3)) as upstream:
        waiting = [asyncio.create_task(upstream.request("hang", b"{}")) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(UpstreamFailed, match="3 unanswered requests"):
            await upstream.request("line", b"{}")
        await upstream.stop()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_flood_on_stderr_does_not_hold_up_answers(tmp_path):
    """100 MB between a request and its answer."""
    async with started(tmp_path) as upstream, asyncio.timeout(30):
        assert await ask(upstream, "flood") == {}
        assert len(upstream.child.stderr) <= 1 << 17
