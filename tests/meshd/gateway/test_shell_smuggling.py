"""Requests that two readers could read differently: 400, close, and nothing behind is read."""

import socket
import subprocess
import sys
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.raw_http import chunked, exchange, request

GET = "GET /health HTTP/1.1\r\nHost: HOST\r\n"
POST = "POST /mcp/stand-in HTTP/1.1\r\nHost: HOST\r\n"
CHUNKS = "\r\n3\r\nabc\r\n0\r\n\r\n"
TABLE = {
    "length and coding": POST + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" + CHUNKS,
    "coding and length": POST + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n" + CHUNKS,
    "length twice": POST + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": POST + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": POST + "Content-Length: 3, 3\r\n\r\nabc",
    "a negative length": POST + "Content-Length: -1\r\n\r\n",
    "a length in hex": POST + "Content-Length: 0x3\r\n\r\nabc",
    "an endless length": POST + "Content-Length: 99999999999999999999999\r\n\r\nabc",
    "an empty length": POST + "Content-Length: \r\n\r\nabc",
    "a folded header": GET + "X: b\r\n c\r\n\r\n",
    "a folded header by tab": GET + "X: b\r\n\tc\r\n\r\n",
    "a folded first header": "GET /health HTTP/1.1\r\n X: b\r\nHost: HOST\r\n\r\n",
    "a bare LF in the line": "GET /health HTTP/1.1\nHost: HOST\r\n\r\n",
    "a bare LF in a header": GET + "X: y\nZ: y\r\n\r\n",
    "a bare LF at the end": GET + "\n",
    "only bare LF": "GET /health HTTP/1.1\nHost: HOST\n\n",
    "a bare CR": GET + "X: y\rZ: y\r\n\r\n",
    "a NUL": GET + "X: y\0z\r\n\r\n",
    "chunked, x": POST + "Transfer-Encoding: chunked, x\r\n" + CHUNKS,
    "x, chunked": POST + "Transfer-Encoding: x, chunked\r\n" + CHUNKS,
    "xchunked": POST + "Transfer-Encoding: xchunked\r\n" + CHUNKS,
    "chunked twice": POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" + CHUNKS,
    "chunked, chunked": POST + "Transfer-Encoding: chunked, chunked\r\n" + CHUNKS,
    "identity": POST + "Transfer-Encoding: identity\r\n\r\n",
    "chunked in HTTP/1.0": POST.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n" + CHUNKS,
    "a control before chunked": POST + "Transfer-Encoding: \x0bchunked\r\n" + CHUNKS,
    "a space before the colon": GET + "X : y\r\n\r\n",
    "a space before coding's": POST + "Transfer-Encoding : chunked\r\n" + CHUNKS,
    "a space before length's": POST + "Content-Length : 3\r\n\r\nabc",
    "a chunk size that is none": POST + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "a chunk size with 0x": POST + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "an endless chunk": POST + "Transfer-Encoding: chunked\r\n\r\n" + "f" * 17 + "\r\nabc",
    "a chunk too long": POST + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    "chunks by bare LF": POST + "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "absolute form": "GET http://HOST/health HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "authority form": "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "authority for GET": "GET HOST HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "asterisk form": "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "a fragment": "GET /health#x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "HTTP/0.9": "GET /health\r\n\r\n",
    "HTTP/0.9 by name": "GET /health HTTP/0.9\r\nHost: HOST\r\n\r\n",
    "HTTP/1.2": "GET /health HTTP/1.2\r\nHost: HOST\r\n\r\n",
    "HTTP/2.0": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no Host": "GET /health HTTP/1.1\r\n\r\n",
    "two Hosts": GET + "Host: evil.example\r\n\r\n",
}


def talk(daemon: Daemon, *parts: str, behind: str = f"{GET}\r\n") -> str:
    """All that is answered to the parts and to what is behind them, until the close."""
    host = daemon.url.removeprefix("http://")
    to = urlsplit(daemon.url)
    said = b""
    with closing(socket.create_connection((to.hostname, to.port), timeout=20)) as wire:
        try:
            for part in (*parts, behind):
                wire.sendall(part.replace("HOST", host).encode("latin-1"))
            while got := wire.recv(65536):
                said += got
        except (ConnectionResetError, BrokenPipeError):
            pass  # closed while we still sent
    return said.decode("latin-1")


@pytest.mark.parametrize("bad", TABLE.values(), ids=TABLE.keys())
def test_a_bad_request_is_the_last_of_its_connection(shared_daemon: Daemon, bad: str) -> None:
    """One typed 400, and the good request behind it is never answered."""
    for said in (talk(shared_daemon, bad), talk(shared_daemon, behind=f"{bad}{GET}\r\n")):
        assert said.split(" ")[1] == "400"
        assert said.count("HTTP/") == 1
        assert '"code":"bad_request"' in said


def test_a_bad_chunk_later_is_400_at_once(shared_daemon: Daemon) -> None:
    """The handler that reads the body already is not left waiting for its deadline."""
    shared_daemon.connect("stand-in", *stdio_server.command())
    key = shared_daemon.add_key("chunks")
    head = f"{POST}Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    said = talk(shared_daemon, head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "zz\r\n")
    assert " 400 " in said.split("\r\n", 1)[0]
    assert said.count("HTTP/1.") == 1


def test_an_upgrade_is_not_taken_and_ends_the_connection(shared_daemon: Daemon) -> None:
    """The request is answered as if it asked for none; what follows is in no known protocol."""
    for protocol in ("websocket", "h2c"):
        said = talk(shared_daemon, f"{GET}Connection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
        assert said.startswith("HTTP/1.1 200 ")
        assert said.count("HTTP/1.") == 1


def test_good_requests_in_a_row_are_all_answered(shared_daemon: Daemon) -> None:
    """What the tests above forbid behind a bad request works behind a good one."""
    said = talk(shared_daemon, f"{GET}\r\n" * 3, behind=f"{GET}Connection: close\r\n\r\n")
    assert said.count("HTTP/1.1 200 ") == 4


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([f"X-{n}: y" for n in range(98)], 200),  # and Host, and Connection
        ([f"X-{n}: y" for n in range(99)], 431),
        (["X: " + "y" * 16_000], 200),
        (["X: " + "y" * 16_400], 431),
        ([f"X-{n}: {'y' * 4000}" for n in range(4)], 200),
        ([f"X-{n}: {'y' * 4100}" for n in range(4)], 431),
    ],
    ids=["100 lines", "101 lines", "16 KB in one", "over in one", "16 KB in four", "over in four"],
)
def test_a_head_has_its_size(shared_daemon: Daemon, lines: list[str], status: int) -> None:
    host = shared_daemon.url.removeprefix("http://")
    assert exchange(shared_daemon.url, request("GET", "/health", host, *lines)).status == status


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x"])
@pytest.mark.parametrize("path", ["/mcp/packed", "/v1/keys"])
def test_a_compressed_body_is_415(shared_daemon: Daemon, coding: str, path: str) -> None:
    """Whatever is in it: nothing is inflated."""
    if not any(row["name"] == "packed" for row in shared_daemon.control("GET", "/v1/connections")):
        shared_daemon.connect("packed", *stdio_server.command())
    key = shared_daemon.add_key(
        f"{coding}-{path}".replace(", ", "-").replace("/", "-"), "packed", "self", "self/key.add"
    )
    host = shared_daemon.url.removeprefix("http://")
    headers = (
        f"Authorization: Bearer {key}", "Content-Type: application/json",
        f"Content-Encoding: {coding}",
    )  # fmt: skip
    answer = exchange(shared_daemon.url, request("POST", path, host, *headers, body=b"\x1f\x8b"))
    assert answer.status == 415
    plain = chunked("POST", path, host, *headers[:2], "Content-Encoding: identity", chunks=[b"["])
    assert exchange(shared_daemon.url, plain).status == 400


def test_without_the_parser_in_c_it_does_not_start() -> None:
    """A typed error and its exit code, not a daemon that reads requests more loosely."""
    made = Daemon.fresh(AIOHTTP_NO_EXTENSIONS="1")
    done = subprocess.run(
        [sys.executable, "-m", "meshd", "--port", "0"], env=made.environ, cwd=made.home,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 8
    assert done.stderr.startswith("error: aiohttp's HTTP parser in C is missing\n")
    assert list(made.home.iterdir()) == []
    made.remove()
