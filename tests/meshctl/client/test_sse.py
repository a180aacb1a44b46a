"""Server-sent events, by the rules of the HTML standard that MCP leans on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshctl.client import sse
from meshctl.client.sse import events


def parsed(*chunks):
    return [(event.data, event.id, event.retry) for event in events(chunks)]


@pytest.mark.parametrize(
    ("stream", "seen"),
    [
        (b"data: {}\n\n", [(b"{}", None, None)]),
        (b"data:{}\n\n", [(b"{}", None, None)]),
        (b"data:  {}\n\n", [(b" {}", None, None)]),
        (b"data: a\ndata: b\n\n", [(b"a\nb", None, None)]),
        (b": ping\n\ndata: x\n\n", [(b"x", None, None)]),
        (b"event: message\nid: 7\nretry: 1500\ndata: x\n\n", [(b"x", "7", 1.5)]),
        (b"id: 7\ndata:\n\n", [(b"", "7", None)]),
        (b"id: a\0b\ndata: x\n\n", [(b"x", None, None)]),
        (b"retry: soon\ndata: x\n\n", [(b"x", None, None)]),
        (
            b"data: x\r\n\r\ndata: y\r\rdata: z\n\n",
            [(b"x", None, None), (b"y", None, None), (b"z", None, None)],
        ),
        (b"data: cut off\n", []),
        (b"\n\n\n", []),
    ],
)
def test_events(stream, seen):
    """Fields, line ends, comments, and an event that was cut off."""
    assert parsed(stream) == seen


@given(
    datas=st.lists(st.text("ab {}:", min_size=1, max_size=9), max_size=6),
    cuts=st.lists(st.integers(1, 12), max_size=20),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_pieces_do_not_matter(datas, cuts, end):
    """However a stream is cut into pieces, its events are the same."""
    stream = b"".join(b"data: " + data.encode() + end + end for data in datas) + b":\n"
    chunks = []
    for cut in cuts:
        chunks.append(stream[:cut])
        stream = stream[cut:]
    assert [data for data, _, _ in parsed(*chunks, stream)] == [data.encode() for data in datas]


def test_an_event_has_an_end(monkeypatch):
    """A line that never ends does not fill the memory."""
    monkeypatch.setattr(sse, "EVENT_BYTES", 100)
    with pytest.raises(ValueError, match="does not end"):
        parsed(b"data: ", *[b"x" * 50] * 3)
