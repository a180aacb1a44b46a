"""Ways in which an upstream answers badly."""

import struct
from socket import SO_LINGER, SOL_SOCKET, socket

from tests.support.upstream import Reply, Seen, answer

HTML = "Content-Type: text/html"


def status(line: str, *headers: str) -> Reply:
    """A refusal with a page for people in it."""
    return answer(b"<html>a page for people</html>", HTML, *headers, status=line)


def garbage(kind: str = "application/json") -> Reply:
    """HTTP 200, and a body that is no JSON-RPC message."""
    return answer(b'{"jsonrpc": "2.0", "id": 1, "resu', f"Content-Type: {kind}")


def no_http(_: Seen, wire: socket) -> None:
    """Bytes that are no HTTP answer."""
    wire.sendall(b"\x00\x01\x02 what?\r\n\r\n")


def reset(_: Seen, wire: socket) -> None:
    """The connection is reset before anything was answered."""
    wire.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


def cut_json(_: Seen, wire: socket) -> None:
    """The connection ends in the middle of a JSON body."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    wire.sendall(head + b'{"jsonrpc":"2.0","id":1,')


def cut_stream(_: Seen, wire: socket) -> None:
    """An event stream breaks off between two chunks, without the answer."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    wire.sendall(head + b"10\r\nevent: message\r\n\r\n")


def silence(_: Seen, wire: socket) -> None:
    """Takes the request and never answers, until the caller has gone."""
    wire.settimeout(60)
    wire.recv(1)
