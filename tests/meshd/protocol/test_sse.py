"""Event streams: the same events however the bytes come, and events that stay whole."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshd.protocol import sse
from meshd.protocol.sse import EventTooLarge, Splitter, data_of

BREAKS = ["\n", "\r", "\r\n"]
STREAMS = st.lists(
    st.sampled_from(
        ["data: a", "data:b", ": hello", "id: 7", "event: message", "x", "", *BREAKS, *BREAKS]
    ),
    max_size=24,
).map(lambda parts: "".join(parts).encode())


def by_the_standard(stream: bytes) -> list[bytes]:
    """The data of each event, line by line as the HTML standard reads; what is open is dropped."""
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    found, data = [], []
    for line in lines[:-1]:
        if line:
            field, _, value = line.partition(b":")
            data += [value.removeprefix(b" ")] if field == b"data" else []
        else:
            found.append(b"\n".join(data))
            data = []
    return [event for event in found if event]


def split(*chunks: bytes) -> list[bytes]:
    splitter = Splitter()
    return [data for chunk in chunks for event in splitter.feed(chunk) if (data := data_of(event))]


@given(STREAMS)
@example(b"data: a\n\rdata: b\r\n\r\n")
@example(b"data: a\r\r\ndata: b\n\n")
def test_events_are_those_of_the_standard(stream: bytes) -> None:
    # A CR at the very end may be half of a CRLF; the standard waits too.
    assert split(stream + b"x") == by_the_standard(stream + b"x")


@given(STREAMS, st.lists(st.integers(0, 80), max_size=6))
@example(b"data: a\r\n\r\ndata: b\n\n", [8, 9, 10])
@example(b"data: a\n\r\ndata: b\n\n", [9])
def test_cuts_change_nothing(stream: bytes, cuts: list[int]) -> None:
    """Whole, cut anywhere, and byte by byte."""
    whole = split(stream + b"x")
    at = [0, *sorted(cuts), len(stream) + 1]
    pieces = [(stream + b"x")[a:b] for a, b in pairwise(at)]
    assert split(*pieces) == whole
    assert split(*(bytes([byte]) for byte in stream + b"x")) == whole


def test_an_event_is_given_as_soon_as_it_is_whole() -> None:
    """Also where the stream's line ends are lone CRs: nobody waits for the next byte."""
    for end in (b"\n\n", b"\r\n\n", b"\r\r"):
        splitter = Splitter()
        assert splitter.feed(b"data: a" + end[:-1]) == []
        assert splitter.feed(end[-1:]) == [b"data: a"]


def test_an_event_that_never_ends_is_too_large() -> None:
    splitter = Splitter()
    half = b"x" * (sse.MAX_EVENT // 2)
    assert splitter.feed(half) == splitter.feed(half) == []
    with pytest.raises(EventTooLarge):
        splitter.feed(b"x")


def test_many_small_chunks_cost_their_length() -> None:
    """A server that sends a large event by the byte must not cost its square."""
    import time

    def cost(size: int) -> float:
        splitter = Splitter()
        splitter.feed(b"x" * size)
        began = time.thread_time()
        for _ in range(2000):
            splitter.feed(b"x")
        return time.thread_time() - began

    assert cost(4_000_000) < 20 * max(cost(1000), 0.002)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a", b"a"), (b"data:a", b"a"), (b"data:  a", b" a"), (b"data: a\ndata: b", b"a\nb"),
        (b": comment", b""), (b"id: 1\nevent: x", b""), (b"data", b""), (b"data: a\r\ndata: b\rid: 1", b"a\nb"),
        (b"DATA: a", b""), (b"", b""),
    ],
)  # fmt: skip
def test_the_data_of_an_event(event: bytes, data: bytes) -> None:
    assert data_of(event) == data


@pytest.mark.parametrize("data", [b"{}", b'{\n "a":\r\n 1\r}', b'{"a":"\\n"}'])
def test_what_is_written_is_one_event_with_that_data(data: bytes) -> None:
    """JSON may hold line breaks, which would cut the event in two."""
    for written in (
        sse.message(data),
        sse.with_data(b"id: 7\r\ndata: old\ndata: er\nretry: 5", data),
    ):
        (event,) = Splitter().feed(written)
        assert data_of(event) == data.replace(b"\n", b" ").replace(b"\r", b" ")


def test_other_fields_survive_new_data() -> None:
    written = sse.with_data(b"id: 7\ndata: old\ndata: er\nevent: message\n: note", b"{}")
    assert written.splitlines()[:3] == [b"id: 7", b"event: message", b": note"]
    assert b"old" not in written


def test_a_comment_is_no_event() -> None:
    assert [data_of(event) for event in Splitter().feed(sse.COMMENT)] == [b""]
