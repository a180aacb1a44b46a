"""The HTTP reader: what it takes, what it refuses, and that pieces do not matter."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshctl.client import http
from meshctl.client.http import Broken, Cut, exchange


def ask(answer, method="GET", target="/x", headers=None, body=None):
    """Send a request to a peer that has answered already: the response, and what was sent."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        ours.settimeout(5)
        try:
            response = exchange(ours, method, target, headers or {}, body)
        except BaseException:
            ours.close()
            raise
        return response, theirs.recv(65536)


def test_a_request_is_one_message():
    """Host is meshd, no browser header is sent, and the length is told."""
    with ask(b"HTTP/1.1 204 No Content\r\n\r\n", "POST", "/v1/x", {"A": "b"}, b"{}")[0] as response:
        assert response.status == 204
    response, sent = ask(b"HTTP/1.1 204 X\r\n\r\n", "POST", "/v1/x", {"A": "b"}, b"{}")
    response.close()
    assert sent == (
        b"POST /v1/x HTTP/1.1\r\nHost: meshd\r\nConnection: close\r\nA: b\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("head", "body", "read"),
    [
        (b"Content-Length: 5", b"hello", b"hello"),
        (b"content-length: 0", b"", b""),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"Transfer-Encoding: Chunked", b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n", b"hello"),
        (b"Content-Length: 5", b"hello, and more", b"hello"),
    ],
)
def test_bodies(head, body, read):
    """Counted and chunked bodies, with extensions and trailers; nothing beyond the end."""
    response, _ = ask(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)
    assert response.read() == read


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end of the connection",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n123456789\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * (http.HEAD_BYTES + 70_000),
    ],
)
def test_what_is_not_valid_is_refused(answer):
    """Two readings of one answer are never chosen between."""
    with pytest.raises(Broken) as refused:
        ask(answer)[0].read()
    assert not isinstance(refused.value, Cut)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_a_cut_answer_is_told_from_a_whole_one(answer):
    """The end of the connection ends no answer."""
    with pytest.raises(Cut):
        ask(answer)[0].read()


def test_interim_answers_are_passed_over():
    """100 and 103 come before the answer."""
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert ask(answer)[0].read() == b"ok"


def test_a_body_has_a_limit():
    """A read stops where it was told to, also when the length promised more."""
    response, _ = ask(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 5000)
    with pytest.raises(Broken, match="longer than 100 bytes"):
        response.read(limit=100)


@pytest.mark.parametrize("bad", ["a\r\nB: c", "a\nb", "a\x00b"])
def test_no_header_breaks_out_of_its_line(bad):
    """A value with a line end is refused before anything is sent."""
    with pytest.raises(ValueError, match="control character"):
        ask(b"", headers={"A": bad})
    with pytest.raises(ValueError, match="control character"):
        ask(b"", target=f"/{bad}")


@given(
    pieces=st.lists(st.binary(max_size=40), max_size=8),
    cuts=st.lists(st.integers(1, 60), max_size=30),
)
def test_pieces_do_not_matter(pieces, cuts):
    """However the bytes arrive, the body is the same."""
    body = b"".join(b"%X\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
    arriving = []
    for cut in cuts:
        arriving.append(answer[:cut])
        answer = answer[cut:]
    peer = _Arriving([*(one for one in arriving if one), *([answer] if answer else [])])
    response = exchange(peer, "GET", "/", {}, None)
    assert response.read() == b"".join(pieces)
    assert peer.closed


class _Arriving:
    """A socket whose bytes come in given pieces."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.closed = False

    def sendall(self, data):
        pass

    def recv(self, _size):
        return self.pieces.pop(0) if self.pieces else b""

    def close(self):
        self.closed = True
