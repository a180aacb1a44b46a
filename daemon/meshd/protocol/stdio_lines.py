"""JSON-RPC on a pipe, without the pipe: one message a line, as the stdio transport defines it.

Chunks become lines, lines become messages, and messages become lines. Who waits for which answer
is not known here. Source: MCP 2025-11-25, basic/transports, "stdio".
"""

import msgspec

from meshd.protocol.jsonrpc import Message


class LineTooLongError(Exception):
    """A line passed the limit before its end was seen."""


class LineSplitter:
    """Cuts a stream of chunks into lines. Keeps at most `limit` bytes of an unfinished line."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their line feed.

        Raises:
            LineTooLongError: a line is longer than the limit; the stream cannot be read on.
        """
        *lines, rest = chunk.split(b"\n")
        if lines and self._parts:
            self._parts.append(lines[0])
            lines[0] = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
        if rest:
            # Parts are joined once, at the end: a long line costs its length, not its square.
            self._parts.append(rest)
            self._size += len(rest)
        if self._size > self._limit or any(len(line) > self._limit for line in lines):
            raise LineTooLongError
        return lines


class NotAMessageError(Exception):
    """The line is not JSON-RPC."""


_message = msgspec.json.Decoder(Message)
_batch = msgspec.json.Decoder(list[msgspec.Raw])


def unbatch(line: bytes) -> list[bytes]:
    """The messages of one line: itself, or several when the server batches (revision 2025-03-26).

    Raises:
        NotAMessageError: the line looks like a batch and is none.
    """
    if not line.lstrip().startswith(b"["):
        return [line]
    try:
        return [bytes(item) for item in _batch.decode(line)]
    except (msgspec.DecodeError, RecursionError):
        raise NotAMessageError from None


def read_message(line: bytes) -> Message:
    """The message in `line`. More lenient than what callers send: servers do omit `jsonrpc`.

    Raises:
        NotAMessageError: it is not JSON-RPC, or nests too deep to be read.
    """
    try:
        message = _message.decode(line)
    except (msgspec.DecodeError, RecursionError):
        raise NotAMessageError from None
    if not message.method and not bytes(message.id):
        raise NotAMessageError
    return message


def whole_utf8(line: bytes) -> bytes:
    """`line` as valid UTF-8: what is not becomes U+FFFD and cannot spoil what is sent on."""
    if line.isascii():
        return line
    try:
        line.decode()
    except UnicodeDecodeError:
        return line.decode(errors="replace").encode()
    return line


def as_line(message: bytes) -> bytes:
    """`message`, which is valid JSON, as the one line that the server reads."""
    if b"\n" in message or b"\r" in message:
        # Inside JSON a raw line break is only ever white space, and here it would end the message:
        # what follows it would be read as a message of its own.
        message = message.replace(b"\n", b" ").replace(b"\r", b" ")
    return message + b"\n"
