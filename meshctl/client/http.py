"""HTTP/1.1 (RFC 9112) over a connected socket: one exchange a connection, strict in what it takes.

Written by hand because http.client costs a fast command as much as the interpreter itself. What a
path or a body means stands in `client`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterator, Mapping
    from typing import Self

HEAD_BYTES = 64 * 1024
"""The longest status line with headers."""

BODY_BYTES = 64 * 1024 * 1024
"""The longest body that `Response.read` takes; `Response.chunks` has no end."""

_LINE_BYTES = 1024
_PIECE_BYTES = 64 * 1024


class Broken(Exception):
    """The peer spoke no valid HTTP."""


class Cut(Broken):
    """The connection ended before the answer did."""


class Response:
    """An answer. `headers` have lower-case names; the body is taken once, by one of two ways."""

    __slots__ = ("_body", "_wire", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], wire: _Wire, *, empty: bool) -> None:
        self.status = status
        self.headers = headers
        self._wire = wire
        self._body = iter(()) if empty else _body(headers, wire)

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece as it arrives. The connection closes at its end.

        Raises:
            Cut: the connection ended early.
            Broken: the framing is not valid.
            TimeoutError: nothing came in time.
        """
        try:
            yield from self._body
        finally:
            self.close()

    def read(self, limit: int = BODY_BYTES) -> bytes:
        """The whole body.

        Raises:
            Broken: it is longer than `limit` bytes; or as `chunks`.
        """
        body = bytearray()
        for piece in self.chunks():
            body += piece
            if len(body) > limit:
                self.close()
                raise Broken(f"the answer is longer than {limit} bytes")
        return bytes(body)

    def close(self) -> None:
        """Hang up, wherever the answer is."""
        self._wire.peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def exchange(
    peer: socket, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> Response:
    """Send one request, and read the answer's head.

    Raises:
        ValueError: a part of the request would break out of its line.
        Cut, Broken, TimeoutError: as `Response.chunks`.
    """
    lines = [f"{method} {target} HTTP/1.1", "Host: meshd", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    for line in lines:
        if not line.isprintable():
            raise ValueError(f"a control character in the request line or header {line!a}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    _send(peer, head + (body or b""))
    wire = _Wire(peer)
    status, fields = _head(wire)
    while 100 <= status < 200:  # interim answers (RFC 9110, 15.2)
        status, fields = _head(wire)
    return Response(status, fields, wire, empty=status in {204, 304} or method == "HEAD")


def _send(peer: socket, data: bytes) -> None:
    try:
        peer.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        # The peer may have refused early; its answer says why, and is read next.
        return


class _Wire:
    """Bytes from the peer, buffered."""

    __slots__ = ("buffer", "peer")

    def __init__(self, peer: socket) -> None:
        self.peer = peer
        self.buffer = b""

    def piece(self, most: int) -> bytes:
        """At least one byte, at most `most`."""
        if not self.buffer:
            self.buffer = self._receive()
        piece, self.buffer = self.buffer[:most], self.buffer[most:]
        return piece

    def until(self, end: bytes, limit: int) -> bytes:
        """What comes before `end`, which is taken too."""
        while (at := self.buffer.find(end)) < 0:
            if len(self.buffer) > limit:
                raise Broken("a line or head that does not end")
            self.buffer += self._receive()
        found, self.buffer = self.buffer[:at], self.buffer[at + len(end) :]
        return found

    def _receive(self) -> bytes:
        try:
            data = self.peer.recv(_PIECE_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Cut("the connection ended early")
        return data


def _head(wire: _Wire) -> tuple[int, dict[str, str]]:
    first, *lines = wire.until(b"\r\n\r\n", HEAD_BYTES).decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if version not in {"HTTP/1.1", "HTTP/1.0"} or not _digits(code) or rest[3:4] not in {"", " "}:
        raise Broken(f"not a status line: {first[:80]!a}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():  # folded lines included (RFC 9112, 5.2)
            raise Broken(f"not a header: {line[:80]!a}")
        name = name.lower()
        if name in headers and name in {"content-length", "transfer-encoding"}:
            raise Broken(f"{name} stands twice")
        headers[name] = value.strip(" \t")
    return int(code), headers


def _body(headers: dict[str, str], wire: _Wire) -> Iterator[bytes]:
    """The body by its framing (RFC 9112, 6.3).

    One that only the end of the connection ends is refused: nobody could tell it from a cut one.
    """
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked" or length is not None:
            raise Broken("a body with two framings, or an unknown one")
        return _chunked(wire)
    if length is None or not _digits(length):
        raise Broken("a body without a valid length")
    return _counted(wire, int(length))


def _counted(wire: _Wire, left: int) -> Iterator[bytes]:
    while left:
        piece = wire.piece(left)
        left -= len(piece)
        yield piece


def _chunked(wire: _Wire) -> Iterator[bytes]:
    while True:
        size = wire.until(b"\r\n", _LINE_BYTES).partition(b";")[0].strip(b" \t")
        if not size or len(size) > 8 or size.strip(b"0123456789abcdefABCDEF"):
            raise Broken(f"not a chunk size: {size[:20]!a}")
        left = int(size, 16)
        if not left:
            break
        yield from _counted(wire, left)
        if wire.until(b"\r\n", _LINE_BYTES):
            raise Broken("a chunk longer than its size")
    while wire.until(b"\r\n", _LINE_BYTES):  # trailers
        continue


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
