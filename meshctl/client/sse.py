"""Server-sent events (WHATWG HTML, section 9.2), as far as MCP uses them: id, retry and data."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EVENT_BYTES = 64 * 1024 * 1024
"""The longest event."""


class Event:
    """One event. `data` is empty in an event that only tells its id; `retry` is in seconds."""

    __slots__ = ("data", "id", "retry")

    def __init__(self, data: bytes, id_: str | None, retry: float | None) -> None:
        self.data = data
        self.id = id_
        self.retry = retry


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The events of a stream, each as soon as its empty line came. A cut-off one is dropped.

    Raises:
        ValueError: an event is longer than `EVENT_BYTES`.
    """
    data: list[bytes] = []
    fields: dict[bytes, bytes] = {}
    for line in _lines(chunks):
        if line.startswith(b":"):
            continue  # a comment, which keeps the connection warm
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            else:
                fields[name] = value
        elif data or fields:
            yield _event(data, fields)
            data, fields = [], {}


def _event(data: list[bytes], fields: dict[bytes, bytes]) -> Event:
    wait = fields.get(b"retry", b"")
    named = fields.get(b"id")
    return Event(
        b"\n".join(data),
        None if named is None or b"\0" in named else named.decode("utf-8", "replace"),
        int(wait) / 1000 if wait.isdigit() else None,
    )


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that end in LF, CR or both."""
    begun: list[bytes] = []
    size = 0
    half = b""
    for piece in chunks:
        chunk = half + piece
        half = b"\r" if chunk.endswith(b"\r") else b""  # perhaps of a CR LF
        text = chunk.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *lines = text.split(b"\n")
        begun.append(first)
        size += len(first)
        if lines:
            yield b"".join(begun)
            *whole, last = lines
            yield from whole
            begun, size = [last], len(last)
        if size > EVENT_BYTES:
            raise ValueError("an event that does not end")
