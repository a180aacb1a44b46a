"""Server-sent events: cutting a byte stream into events, and reading and writing one.

Source: the HTML standard, section "Server-sent events".
"""

import re

# Two line ends in a row. Atomic: a CRLF is one of them, never a CR and an LF.
_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_END = 4
MAX_EVENT = 8 * 1024 * 1024


class EventTooLarge(ValueError):
    """An event grew beyond `MAX_EVENT` bytes."""


class Splitter:
    """Collects chunks and gives back whole events, each without its closing blank line.

    When the CR that ends one was half of a CRLF, the other half begins the next, as an empty line.
    """

    def __init__(self) -> None:
        self._open = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes.

        Raises:
            EventTooLarge: what is still open exceeds `MAX_EVENT`.
        """
        seen = max(0, len(self._open) - _LONGEST_END)
        self._open += chunk
        events, start = [], 0
        for end in _END.finditer(self._open, seen):
            events.append(bytes(self._open[start : end.start()]))
            start = end.end()
        del self._open[:start]
        if len(self._open) > MAX_EVENT:
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


def name_of(event: bytes) -> str:
    """The event's name; `message` where it has none."""
    return (field_of(event, b"event") or b"").decode(errors="replace") or "message"


def field_of(event: bytes, name: bytes) -> bytes | None:
    """The value of the last field of that name; None where there is none."""
    found = None
    for line in event.splitlines():
        field, _, value = line.partition(b":")
        if field == name:
            found = value.removeprefix(b" ")
    return found


def with_data(event: bytes, data: bytes) -> bytes:
    """The same event (id, event name, retry kept) with other JSON for its data, closed."""
    kept = [line for line in event.splitlines() if line.partition(b":")[0] != b"data"]
    return b"\n".join([*kept, b"data: " + _one_line(data)]) + b"\n\n"


def message(data: bytes) -> bytes:
    """A `message` event around JSON."""
    return event("message", data)


def event(name: str, data: bytes) -> bytes:
    """An event of that name around JSON."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _one_line(data))


def _one_line(data: bytes) -> bytes:
    """JSON without line breaks, which are only ever white space in it and would end its line."""
    return data.replace(b"\n", b" ").replace(b"\r", b" ")


COMMENT = b": keep-alive\n\n"
"""Keeps proxies from closing a silent stream."""
