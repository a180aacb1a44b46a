"""HTTP requests that no well-behaved client would send: every byte of them is the test's."""

import socket
from contextlib import suppress
from http.client import HTTPResponse
from urllib.parse import urlsplit

from tests.support.daemon import Answer


def request(method: str, path: str, host: str, *headers: str, body: bytes | None = None) -> bytes:
    """The bytes of a request; with a body its length is stated."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(method: str, path: str, host: str, *headers: str, chunks: list[bytes]) -> bytes:
    """The bytes of a request whose length nobody states beforehand."""
    more = (*headers, "Transfer-Encoding: chunked")
    parts = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    return request(method, path, host, *more) + b"".join(parts) + b"0\r\n\r\n"


def exchange(url: str, raw: bytes, timeout: float = 30) -> Answer:
    """Send it over a connection of its own, and read the answer.

    Raises:
        TimeoutError: `timeout` seconds passed without a byte.
    """
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=timeout) as wire:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before the end of it
            wire.sendall(raw)
        with HTTPResponse(wire, method=raw.split(b" ", 1)[0].decode()) as response:
            response.begin()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
