"""Where the answer stands in an event stream, and that no byte around it is touched."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.gateway.relay import Events, answer_to
from meshd.protocol import sse

REPLY = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}'
ASIDE = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"id":1}}'
STREAM = (
    b": hello\r\n\r\nid: 1\r\nretry: 5\r\n\r\nevent: message\ndata: " + ASIDE + b"\n\n\n"
    b"data: \rid: 2\r\rid: 3\ndata: " + REPLY + b"\n\n: after\n\ndata: " + ASIDE + b"\n\n"
)


def same(data: bytes) -> bytes:
    """Shows everything."""
    return data


def nothing(_: bytes) -> bytes:
    """Shows nothing."""
    return b"{\n}"


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=8).map(sorted))
def test_every_byte_passes_however_it_is_cut(cuts: list[int]) -> None:
    """Comments, priming events, odd line ends; also once the answer is through."""
    events = Events(b"1", same)
    out = []
    for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True):
        out.append(events.feed(STREAM[start:end]))
        assert (events.answer is not None) == (REPLY in b"".join(out))
    assert b"".join(out) == STREAM
    assert events.answer == REPLY


def test_half_an_event_waits() -> None:
    """If the stream breaks now, the client has seen whole events only."""
    events = Events(b"1", same)
    assert events.feed(b"data: 1\n\ndata: 2") == b"data: 1\n\n"
    assert events.feed(b"\n") == b""
    assert events.feed(b"\ndata: 3") == b"data: 2\n\n"


@pytest.mark.parametrize(
    "foreign",
    [
        REPLY.replace(b'"id":1', b'"id":2'),
        REPLY.replace(b'"id":1,', b""),
        REPLY.replace(b'"id":1', b'"id":2,"method":"a"'),
        b"[" + ASIDE + b",7," + REPLY + b"]",
        b'{"id":7,"error":{"code":1}}',
    ],
)
@pytest.mark.parametrize("ident", [b"1", b""], ids=["asked", "told"])
def test_a_response_to_nothing_asked_does_not_pass(foreign: bytes, ident: bytes) -> None:
    """Neither before the answer nor behind it, nor where nothing was asked; the rest goes on."""
    event, aside = b"data: " + foreign + b"\n\n", b"data: " + ASIDE + b"\n\n"
    events = Events(ident, nothing)
    assert events.feed(b"\xef\xbb\xbf" + event + aside + event) == aside
    assert events.answer is None
    events.feed(b"data: " + REPLY + b"\n\n")
    assert events.answer == (REPLY if ident else None)
    assert events.feed(event + aside + event) == aside


def test_a_second_answer_does_not_pass() -> None:
    """It would pass unfiltered."""
    events, event = Events(b"1", nothing), b"data: " + REPLY + b"\n\n"
    assert events.feed(event + event) + events.feed(event) == b"data: { }\n\n"


def test_the_answer_may_be_shaped() -> None:
    """Its id and the other events stay."""
    events = Events(b"1", nothing)
    out = events.feed(b"data: a\r\n\r\nid: 3\r\ndata: " + REPLY + b"\r\n\r\ndata: b\n\n")
    assert out == b"data: a\r\n\r\nid: 3\ndata: { }\n\ndata: b\n\n"
    assert events.answer == REPLY


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the memory."""
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    events = Events(b"1", same)
    assert events.feed(b"x" * 100) == b""
    with pytest.raises(sse.EventTooLarge):
        events.feed(b"x")


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (REPLY, True),
        (b' {"id":null,"error":{"code":1}} ', True),
        (b'{"id":null,"result":{}}', False),
        (b'{"error":{"code":1}}', True),
        (b'{"id":1,"result":null}', True),
        (b'{"id":1,"result":1,"method":"a"}', False),
        (b'{"id":1}', False),
        (ASIDE, False),
        (b"[" + REPLY + b"]", False),
        (REPLY[:-1], False),
        (REPLY + b"x", False),
        (b"<html>", False),
        (b"", False),
        (b"[" * 100_000, False),
    ],
)
def test_what_a_reply_is(body: bytes, reply: bool) -> None:
    assert (answer_to(body, b"1") is not None) == reply


@pytest.mark.parametrize(
    ("sent", "asked", "same_id"),
    [
        ("1", "1", True),
        ("1", "2", False),
        ("1", '"1"', True),
        ('"1"', "1", True),
        ('"2"', "1", False),
        ('"\\u00e9"', '"\u00e9"', True),
        ('"a\\/b"', '"a/b"', True),
        ("null", "1", False),
        ("true", "1", False),
        ("1.0", "1", True),
    ],
)
def test_whose_reply_it_is(sent: str, asked: str, same_id: bool) -> None:
    """Servers may write an id in another spelling than the client did, which gets its own."""
    body = json.dumps({"result": {}})[:-1] + f', "id": {sent}}}'
    found = answer_to(body.encode(), asked.encode())
    assert (found is not None) == same_id
    assert found is None or json.loads(found)["id"] == json.loads(asked)
