"""Server-sent events: cutting a byte stream into events, and reading and writing one.

Source: the HTML standard, section "Server-sent events".
"""

import re

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n")
MAX_EVENT = 8 * 1024 * 1024


class EventTooLarge(ValueError):
    """An event grew beyond `MAX_EVENT` bytes."""


class Splitter:
    """Collects chunks and gives back whole events, each without its closing blank line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes.

        Raises:
            EventTooLarge: what is still open exceeds `MAX_EVENT`.
        """
        data = self._rest + chunk
        events, start = [], 0
        for end in _END.finditer(data, max(0, len(self._rest) - 3)):
            events.append(data[start : end.start()])
            start = end.end()
        self._rest = data[start:]
        if len(self._rest) > MAX_EVENT:
            raise EventTooLarge
        return events


def data_of(event: bytes) -> bytes:
    """The event's data, its lines joined by a line feed; empty for comments and priming events."""
    lines = []
    for line in event.splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
    return b"\n".join(lines)


def with_data(event: bytes, data: bytes) -> bytes:
    """The same event (id, event name, retry kept) with other one-line data, closed."""
    kept = [line for line in event.splitlines() if line.partition(b":")[0] != b"data"]
    return b"\n".join([*kept, b"data: " + data]) + b"\n\n"


def message(data: bytes) -> bytes:
    """A `message` event around one line of JSON."""
    return b"event: message\ndata: " + data.replace(b"\n", b" ") + b"\n\n"


COMMENT = b": keep-alive\n\n"
"""Keeps proxies from closing a silent stream."""
