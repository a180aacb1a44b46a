"""Sessions with HTTP+SSE servers: found, opened, asked by many at once, lost and opened anew."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from meshd.core.secret import Secret
from meshd.core.tasks import TaskGroup
from meshd.protocol.jsonrpc import Message
from meshd.proxy.circuit import Circuit
from meshd.proxy.http import HttpUpstream, Target
from meshd.proxy.http_eras import HttpEras
from meshd.proxy.outbound import OutboundRules, open_session
from meshd.proxy.sse_session import SseSession
from meshd.wire.errors import NeedsLogin, UpstreamFailed
from tests.support.sse_server import SseServer, sse_server
from tests.support.upstream import upstream
from tests.support.wait import until


@asynccontextmanager
async def session(server: SseServer, **headers: str) -> AsyncIterator[SseSession]:
    own = {name: Secret(value) for name, value in headers.items()}
    async with open_session(OutboundRules()) as pool, TaskGroup("test") as tasks:
        upstream = HttpUpstream(pool, Target(Secret(server.url), "srv", own), Circuit())
        made = SseSession(upstream, "srv", tasks)
        yield made
        await made.close()


async def nothing(_message: Message, _raw: bytes) -> bool:
    return False


def echo(number: int) -> bytes:
    return json.dumps({"name": "echo", "arguments": {"n": number}}).encode()


def said(result: bytes | None) -> Any:
    return json.loads(json.loads(result or b"")["content"][0]["text"])


async def test_one_session_for_many_requests_and_each_has_its_own_answer() -> None:
    """Whatever the order in which the answers come."""
    waiting: list[tuple[str, dict[str, Any]]] = []

    async def hold(server: SseServer, session: str, message: dict[str, Any]) -> None:
        waiting.append((session, message))
        if len(waiting) == 20:
            for where, held in reversed(waiting):
                text = json.dumps(held["params"]["arguments"])
                content = {"content": [{"type": "text", "text": text}]}
                server.say(where, {"id": held["id"], "result": content})

    async with sse_server(acts={"tools/call": hold}) as server, session(server) as asked:
        got = await asyncio.gather(*(asked.request("tools/call", echo(n)) for n in range(20)))
    assert [said(reply.result) for reply in got] == [{"n": n} for n in range(20)]
    assert (server.opened, len(server.of("initialize"))) == (1, 1)


async def test_credentials_go_with_every_request() -> None:
    async with sse_server() as server, session(server, **{"X-Key": "k"}) as asked:
        await asked.request("tools/list")
    assert {headers.get("X-Key") for headers in server.headers} == {"k"}


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:1/messages", "//other.example/messages", "http://[/", "https:/x"]
)
async def test_a_place_of_another_origin_is_refused(place: str) -> None:
    """Credentials would go there."""
    async with sse_server(endpoint=place) as server, session(server) as asked:
        with pytest.raises(UpstreamFailed, match="to another place"):
            await asked.open()
    assert server.seen == []


@pytest.mark.parametrize("place", ["/messages?session={session}", "messages?session={session}"])
async def test_a_relative_place(place: str) -> None:
    async with sse_server(endpoint=place) as server, session(server) as asked:
        assert b"old" in await asked.open()


async def test_a_whole_url_of_the_same_origin() -> None:
    async with sse_server() as server, session(server) as asked:
        server.endpoint = server.url.replace("/sse", "/messages?session={session}")
        assert b"old" in await asked.open()


async def test_a_session_that_ended_is_opened_anew() -> None:
    """What waited fails; what is asked next works."""
    called = asyncio.Event()

    async def hang(_server: SseServer, _session: str, _message: dict[str, Any]) -> None:
        called.set()

    async with sse_server(acts={"tools/call": hang}) as server, session(server) as asked:
        call = asyncio.create_task(asked.request("tools/call", echo(1)))
        await called.wait()
        server.forget()
        with pytest.raises(UpstreamFailed, match="closed"):
            await call
        assert (await asked.request("tools/list")).result is not None
        assert server.opened == 2


async def test_a_session_that_is_not_known_any_more_is_opened_anew() -> None:
    """The stream still stands, but messages are answered 404: they were not taken."""
    async with sse_server() as server, session(server) as asked:
        await asked.open()
        server.streams.pop("s1")
        assert said((await asked.request("tools/call", echo(5))).result) == {"n": 5}
    assert len(server.of("tools/call")) == 1


async def test_what_waits_in_a_forgotten_session_is_lost() -> None:
    """It may have run; another request found out that the session is over."""
    called = asyncio.Event()

    async def hang(_server: SseServer, _session: str, _message: dict[str, Any]) -> None:
        called.set()

    async with sse_server(acts={"tools/call": hang}) as server, session(server) as asked:
        call = asyncio.create_task(asked.request("tools/call", echo(1)))
        await called.wait()
        server.streams.pop("s1")
        assert (await asked.request("tools/list")).result is not None
        with pytest.raises(UpstreamFailed, match="forgot") as caught:
            await call
    assert (caught.value.lost, caught.value.sent) == (True, True)


async def test_a_session_that_is_forgotten_as_it_begins() -> None:
    """Nothing was sent of what it was begun for, so that may be tried again."""
    async with sse_server(status=404) as server, session(server) as asked:
        for begun in (asked.open(), asked.request("tools/call", echo(1)), asked.tell(b"{}")):
            with pytest.raises(UpstreamFailed, match="as it began") as caught:
                await begun
            assert (caught.value.lost, caught.value.sent) == (True, False)


async def test_refused_credentials() -> None:
    async with sse_server() as server, session(server) as asked:
        await asked.open()
        server.status = 401
        with pytest.raises(NeedsLogin):
            await asked.request("tools/list")


async def test_progress_comes_with_the_callers_own_token() -> None:
    """Two callers chose the same."""

    async def tell(server: SseServer, session: str, message: dict[str, Any]) -> None:
        token = message["params"]["_meta"]["progressToken"]
        about = {"progressToken": token, "progress": message["params"]["arguments"]["n"]}
        server.say(session, {"method": "notifications/progress", "params": about})
        server.say(session, {"id": message["id"], "result": {}})

    async def ask(asked: SseSession, number: int) -> list[Any]:
        heard: list[Any] = []

        async def hear(_message: Message, raw: bytes) -> bool:
            heard.append(json.loads(raw)["params"])
            return False

        params = {"name": "x", "arguments": {"n": number}, "_meta": {"progressToken": "mine"}}
        await asked.request("tools/call", json.dumps(params).encode(), attend=hear)
        return heard

    async with sse_server(acts={"tools/call": tell}) as server, session(server) as asked:
        both = await asyncio.gather(ask(asked, 1), ask(asked, 2))
    assert both == [[{"progressToken": "mine", "progress": n}] for n in (1, 2)]


async def test_a_question_goes_to_the_only_call_and_else_is_declined() -> None:
    """A stream does not say which request a question belongs to."""
    release = asyncio.Event()
    taken: list[str] = []

    async def question(server: SseServer, session: str, message: dict[str, Any]) -> None:
        number = message["params"]["arguments"]["n"]
        server.say(session, {"id": f"q{number}", "method": "elicitation/create", "params": {}})
        if number == 1:
            server.say(session, {"id": message["id"], "result": {}})

    async def take(message: Message, _raw: bytes) -> bool:
        taken.append(bytes(message.id).decode())
        release.set()
        return True

    async with sse_server(acts={"tools/call": question}) as server, session(server) as asked:
        await asked.request("tools/call", echo(1), attend=take)
        assert taken == ['"q1"']
        release.clear()
        two = asyncio.create_task(asked.request("tools/call", echo(2), attend=take))
        await release.wait()
        three = asyncio.create_task(asked.request("tools/call", echo(3), attend=take))
        await asyncio.to_thread(
            until, lambda: any(message.get("error") for _, message in server.seen)
        )
        for call in (two, three):
            call.cancel()
        await asyncio.gather(two, three, return_exceptions=True)
    declined = [message["id"] for _, message in server.seen if message.get("error")]
    assert (taken, declined) == (['"q1"', '"q2"'], ["q3"])
    cancelled = {message["params"]["requestId"] for message in server.of("notifications/cancelled")}
    asked_ids = {message["id"] for message in server.of("tools/call")}
    assert cancelled < asked_ids
    assert len(cancelled) == 2


@pytest.mark.parametrize("path", ["/sse", "/old"])
async def test_it_is_found_whatever_its_path(path: str) -> None:
    """By its name at once, else by its refusals of what it does not know."""
    async with sse_server() as server, open_session(OutboundRules()) as pool:
        target = Target(Secret(server.url.replace("/sse", path)), "srv", {})
        eras = HttpEras(HttpUpstream(pool, target, Circuit()), "srv", lambda *_: {})
        assert b"2024-11-05" in await eras.open()
        assert not eras.takes_handshake
        assert (await eras.request("tools/list")).result is not None
        await eras.close()


async def test_a_server_of_another_transport_may_have_that_path() -> None:
    with upstream() as server:
        async with open_session(OutboundRules()) as pool:
            target = Target(Secret(server.url + "/sse"), "srv", {})
            eras = HttpEras(HttpUpstream(pool, target, Circuit()), "srv", lambda *_: {})
            assert b"recorder" in await eras.open()
            assert eras.takes_handshake
            await eras.close()


async def test_changes_are_heard() -> None:
    async with sse_server() as server, session(server) as asked:
        heard = asked.heard()
        first = asyncio.ensure_future(anext(heard))
        await asyncio.to_thread(until, lambda: server.of("notifications/initialized"))
        for name in tuple(server.streams):
            server.say(name, {"method": "notifications/tools/list_changed"})
        message, _ = await asyncio.wait_for(first, 60)
        assert message.method == "notifications/tools/list_changed"
        await heard.aclose()
