"""Control calls: who asks, may they, what do they ask, and how it is answered when it fails."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import UNSET

from meshd.api import followed
from meshd.api.dispatch import Dispatcher
from meshd.services.principal import Principal
from meshd.store.db import ExpectFailed, StoreUnavailable
from meshd.vault.errors import KeySpent
from meshd.wire.calls import CALLS
from meshd.wire.errors import KINDS
from tests.support.door import Door
from tests.support.principals import key_principal, local_principal

SECRET = "hunter2"


def test_every_row_has_exactly_one_handler() -> None:
    handlers = {call.name: lambda _who, _asked: None for call in CALLS}
    Dispatcher(CALLS, handlers, lambda who, _name: who)
    with pytest.raises(ValueError, match="status"):
        Dispatcher(
            CALLS, {k: v for k, v in handlers.items() if k != "status"}, lambda who, _name: who
        )
    with pytest.raises(ValueError, match=r"no\.such"):
        Dispatcher(CALLS, {**handlers, "no.such": handlers["status"]}, lambda who, _name: who)


async def test_fields_come_from_path_query_and_body(door: Door) -> None:
    assert (await door.ask("GET", "/v1/calls?connection=a&limit=5&failed=true"))[0] == 200
    assert (await door.ask("GET", "/v1/calls/call_x"))[0] == 200
    assert (await door.ask("PATCH", "/v1/keys/laptop", {"allow": ["a"], "expires": None}))[0] == 200
    assert (await door.ask("POST", "/v1/keys/laptop/rotate"))[0] == 200
    assert (await door.ask("DELETE", "/v1/keys/laptop"))[0] == 200
    listed, shown, edited, rotated, revoked = door.asked
    assert (listed.connection, listed.limit, listed.failed) == ("a", 5, True)
    assert shown.call == "call_x"
    assert (edited.key, edited.allow, edited.expires, edited.role) == ("laptop", ["a"], None, UNSET)
    assert rotated.key == revoked.key == "laptop"


async def test_lists_in_a_query_are_repeated_fields(door: Door) -> None:
    async def stream(_who, _asked):
        yield None

    door.handlers["event.tail"] = stream
    await door.lines("/v1/tail/events?filter=type%3Da*&filter=subject%3Db&follow=false")
    assert (door.asked[0].filter, door.asked[0].follow) == (["type=a*", "subject=b"], False)


async def test_a_name_may_be_a_word_that_means_something_elsewhere(door: Door) -> None:
    for name in ("null", "true", "1"):
        await door.ask("GET", f"/v1/calls?connection={name}")
        assert door.asked[-1].connection == name


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/calls?limit=x", None), ("GET", "/v1/calls?limit=", None), ("GET", "/v1/calls?limit=1.5", None),
        ("GET", "/v1/calls?failed=maybe", None), ("GET", "/v1/calls?nope=1", None), ("GET", "/v1/calls?limit=1&limit=2", None),
        ("GET", "/v1/keys?key=x", None), ("GET", "/v1/calls?connection=" + "x" * 5000, None),
        ("POST", "/v1/keys", {}), ("POST", "/v1/keys", {"name": 5}), ("POST", "/v1/keys", {"name": None}),
        ("POST", "/v1/keys", {"name": "a", "nope": 1}), ("POST", "/v1/keys", {"name": "a", "allow": "x"}),
        ("POST", "/v1/keys", {"name": "a", "allow": [5]}), ("POST", "/v1/keys", {"name": "a", "read_only": "yes"}),
        ("POST", "/v1/keys", []), ("POST", "/v1/keys", "x"), ("POST", "/v1/keys", 5),
        ("PATCH", "/v1/keys/a", {"name": None}), ("PATCH", "/v1/connections/a", {"bodies": "loud"}),
        ("POST", "/v1/connections", {"name": "a", "url": "b", "headers": {"x": 5}}),
    ],
    ids=str,
)  # fmt: skip
async def test_wrong_and_unknown_fields(door: Door, method: str, path: str, body: object) -> None:
    code, said = await door.ask(method, path, body)
    assert (code, said["error"]["code"]) == (400, "bad_request")
    assert door.asked == []
    assert len(said["error"]["message"]) < 300


@pytest.mark.parametrize(
    "data",
    [b"{", b"nope", b"[" * 100_000, b'{"name":NaN}', b'{"name":"\xff"}', b'{"name":"\\ud800"}', b'{"name":"a"}x', b"\x00",
     b'{"name":"a","allow":' + b"[" * 70 + b"]" * 70 + b"}"],
    ids=lambda data: repr(data[:20]),
)  # fmt: skip
async def test_bodies_that_are_not_json(door: Door, data: bytes) -> None:
    code, said = await door.ask("POST", "/v1/keys", data=data)
    assert (code, said["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize("inner", [b'{"a":"\xff"}', b"[" * 100 + b"]" * 100, b"NaN", b"{"])
async def test_arguments_are_checked_although_they_pass_as_they_are(
    door: Door, inner: bytes
) -> None:
    """They go on to an upstream and into records, where they must not break anything."""
    data = b'{"arguments":' + inner + b"}"
    assert (await door.ask("POST", "/v1/connections/a/tools/b/call", data=data))[0] == 400
    assert door.asked == []


async def test_what_stands_in_the_path_counts(door: Door) -> None:
    await door.ask("PATCH", "/v1/keys/laptop", {"key": "other"})
    assert door.asked[0].key == "laptop"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"]
)
async def test_a_body_is_json_by_its_type(door: Door, kind: str) -> None:
    code, said = await door.ask("POST", "/v1/keys", {"name": "a"}, Content_Type=kind)
    assert (code, said["error"]["code"]) == (415, "unsupported_media")


async def test_bodies_have_a_size(door: Door) -> None:
    code, said = await door.ask("POST", "/v1/keys", data=b'{"name":"' + b"x" * 5_000_000 + b'"}')
    assert (code, said["error"]["code"]) == (413, "too_large")
    bomb = gzip.compress(b" " * 50_000_000)
    assert (await door.ask("POST", "/v1/keys", data=bomb, Content_Encoding="gzip"))[0] == 415


async def raw(door: Door, head: str, body: bytes) -> tuple[int, bytes]:
    """The status of a request that is written by hand, and what followed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        await writer.drain()
        async with asyncio.timeout(5):
            line = await reader.readline()
            return int(line.split()[1]), await reader.read(4000)
    finally:
        writer.close()
        await writer.wait_closed()


POST = "POST /v1/keys HTTP/1.1\nHost: x\nContent-Type: application/json\nConnection: close\n"


async def test_a_body_that_does_not_come_is_not_waited_for(door: Door) -> None:
    code, rest = await raw(door, POST + "Content-Length: 100", b'{"name":')
    assert (code, b"too_slow" in rest) == (408, True)


@pytest.mark.parametrize(
    ("header", "body", "code"),
    [
        ("Transfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n", 400),
        ("Content-Encoding: gzip\nContent-Length: 2", b"{}", 415),
    ],
)
async def test_a_body_that_is_not_framed_as_said_or_is_compressed(
    door: Door, header: str, body: bytes, code: int
) -> None:
    assert (await raw(door, POST + header, body))[0] == code


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        *((kind(), kind.status, kind.code) for kind in KINDS.values()),
        (StoreUnavailable(SECRET), 503, "unavailable"),
        (ExpectFailed("key.edit", 1, 0), 409, "conflict"),
        (KeySpent(), 503, "unavailable"),
        (ValueError(SECRET), 500, "internal"),
        (TimeoutError(SECRET), 500, "internal"),
        (RecursionError(SECRET), 500, "internal"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_every_error_has_its_answer(
    door: Door, error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is ours to mend is in the log, not in the answer."""

    async def fail(_who, _asked):
        raise error

    door.handlers["status"] = fail
    answer, said = await door.ask("GET", "/v1/status")
    assert (answer, said["error"]["code"]) == (status, code)
    assert SECRET not in json.dumps(said)
    foreign = not hasattr(error, "status") and not isinstance(error, ExpectFailed)
    assert bool([r for r in caplog.records if r.levelno >= logging.ERROR]) == foreign


@pytest.mark.parametrize("call", [c for c in CALLS if c.socket_only], ids=lambda c: c.name)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_what_is_for_the_socket_only_does_not_exist_on_tcp(
    door: Door, call, method: str
) -> None:
    """Not even by another status for another method."""
    door.on_socket = False
    assert await door.ask(method, call.path) == await door.ask(method, "/v1/no-such-call")
    door.on_socket = True
    status, _ = await door.ask(call.method, call.path)
    assert status in {200, 400}, "it is there, though one asks for something"


async def test_unknown_paths_and_methods(door: Door) -> None:
    assert (await door.ask("GET", "/v1/nothing"))[0] == 404
    assert (await door.ask("PUT", "/v1/keys", {}))[0] == 405
    assert (await door.ask("DELETE", "/v1/keys"))[0] == 405


async def test_the_org_is_the_principals_or_there_is_none(door: Door) -> None:
    for org, status in (
        ("default", 200),
        (door.principal.org, 200),
        ("other", 404),
        ("", 404),
        ("\x41" * 500, 404),
    ):
        assert (await door.ask("GET", "/v1/status", Meshctl_Org=org))[0] == status


async def test_the_right_is_checked_before_the_request_is_read(door: Door) -> None:
    """Who may not ask learns nothing about how to."""
    door.principal = key_principal({"*": ["*"]})
    code, said = await door.ask("POST", "/v1/keys", data=b"{")
    assert (code, said["error"]["code"]) == (403, "denied")
    assert said["error"]["next"] == "meshctl key edit laptop --allow self/key.add"


def turns_into(door: Door, grant: str, states) -> None:
    """The asking key holds one grant, and is itself (`...`) or something else when looked up."""

    def renew():
        state = next(states)
        return door.principal if state is ... else state

    door.principal = key_principal({"self": [grant]}, renew=renew)


@pytest.mark.parametrize(
    ("now", "status"), [(None, 401), (key_principal(), 403)], ids=["revoked", "narrowed"]
)
async def test_a_right_that_is_lost_while_the_body_comes_is_lost(
    door: Door, now, status: int
) -> None:
    """Else a request that dawdles would outlive the key that made it."""
    turns_into(door, "key.add", iter([..., now]))
    assert (await door.ask("POST", "/v1/keys", {"name": "a"}))[0] == status
    assert door.asked == []


# Streams.


async def test_a_stream_is_one_object_a_line(door: Door) -> None:
    async def stream(_who, _asked):
        for number in range(3):
            yield {"n": number}
            yield None

    door.handlers["event.tail"] = stream
    assert await door.lines("/v1/tail/events") == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_an_empty_stream(door: Door) -> None:
    async def stream(_who, _asked):
        for item in ():
            yield item

    door.handlers["event.tail"] = stream
    assert await door.lines("/v1/tail/events") == []


async def test_an_error_before_the_first_item_has_its_status(door: Door) -> None:
    async def stream(_who, _asked):
        raise StoreUnavailable("gone")
        yield

    door.handlers["event.tail"] = stream
    assert (await door.ask("GET", "/v1/tail/events"))[0] == 503


@pytest.mark.parametrize(
    ("error", "code"),
    [(KINDS["not_found"](), "not_found"), (StoreUnavailable(SECRET), "unavailable"), (ValueError(SECRET), "internal")],
)  # fmt: skip
async def test_an_error_later_is_the_last_line(door: Door, error: Exception, code: str) -> None:
    """And never a second answer in the middle of the first."""

    async def stream(_who, _asked):
        yield {"n": 1}
        raise error

    door.handlers["event.tail"] = stream
    first, last = await door.lines("/v1/tail/events")
    assert (first, last["error"]["code"]) == ({"n": 1}, code)
    assert SECRET not in json.dumps(last)


@pytest.mark.parametrize(("now", "code"), [(None, "unauthenticated"), (key_principal(), "denied")])
async def test_a_stream_ends_with_the_right_to_it(door: Door, now, code: str) -> None:
    """A revoked key reads no line more, however long its stream stays open."""
    states = [...]
    turns_into(door, "event.tail", iter(lambda: states[0], "never"))
    closed = asyncio.Event()

    async def stream(_who, _asked):
        try:
            yield {"n": 1}
            states[0] = now
            while True:
                yield {"n": SECRET}
        finally:
            closed.set()

    door.handlers["event.tail"] = stream
    first, last = await door.lines("/v1/tail/events")
    assert (first, last["error"]["code"]) == ({"n": 1}, code)
    assert closed.is_set()


async def test_a_reader_that_goes_away_takes_the_stream_with_it(door: Door) -> None:
    closed = asyncio.Event()

    async def stream(_who, _asked):
        try:
            yield {"n": 1}
            while True:
                yield None
                await asyncio.sleep(0)
        finally:
            closed.set()

    door.handlers["event.tail"] = stream
    async with door.client.get(door.url + "/v1/tail/events") as got:
        await got.content.readline()
    async with asyncio.timeout(5):
        await closed.wait()


async def test_silence_is_broken_by_a_heartbeat(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshd.api.stream.HEARTBEAT", 0.0)

    async def stream(_who, _asked):
        yield None
        await asyncio.Event().wait()

    door.handlers["event.tail"] = stream
    async with door.client.get(door.url + "/v1/tail/events") as got, asyncio.timeout(5):
        assert await got.content.readline() == b"\n"


FOLLOWER = key_principal({"self": ["event.*"]})


@pytest.mark.parametrize(
    ("bound", "who", "status"),
    [
        ("MAX_OWN", local_principal(), 429),
        ("MAX_OWN", FOLLOWER, 429),
        ("MAX_STREAMS", FOLLOWER, 503),
    ],
)
async def test_streams_are_counted_and_bounded(
    door: Door, monkeypatch: pytest.MonkeyPatch, bound: str, who: Principal, status: int
) -> None:
    monkeypatch.setattr(followed, bound, 1)
    door.principal = who
    go = asyncio.Event()

    async def stream(_who, _asked):
        yield {"n": 1}
        await go.wait()

    door.handlers["event.tail"] = stream
    async with door.client.get(door.url + "/v1/tail/events") as got:
        await got.content.readline()
        assert (await door.ask("GET", "/v1/tail/events"))[0] == status
        go.set()
        await got.read()
    assert await door.lines("/v1/tail/events") == [{"n": 1}]


async def test_what_fails_because_the_org_went_meanwhile_says_so(door: Door) -> None:
    """Not that a row or a data key is missing."""

    async def fail(_who: Principal, _asked: Any) -> None:
        door.gone.add("org_a")
        raise LookupError("a data key")

    door.handlers["key.add"] = fail
    status, body = await door.ask("POST", "/v1/keys", {"name": "laptop"})
    assert (status, body["error"]["message"]) == (404, 'there is no org "org_a"')


async def test_a_stream_ends_with_its_org(door: Door) -> None:
    async def follow(_who: Principal, _asked: Any) -> AsyncIterator[dict[str, int]]:
        yield {"at": 1}
        door.gone.add("org_a")
        yield {"at": 2}

    door.handlers["event.tail"] = follow
    first, last = await door.lines("/v1/tail/events")
    assert first == {"at": 1}
    assert last["error"]["code"] == "not_found"
