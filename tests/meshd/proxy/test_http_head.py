"""The bytes of requests: what a server is told, and what cannot be told at all."""

import pytest

from meshd.proxy.http_head import Place, RequestHead
from meshd.wire.errors import BadRequest


def lines(request: bytes) -> list[str]:
    return request.partition(b"\r\n\r\n")[0].decode().split("\r\n")


def test_a_post_is_one_piece() -> None:
    """Line, host, what is always told, the session of the moment, length, and the body untouched."""
    head = RequestHead("http://host/mcp?a=1", {"X-Team": "blue"})
    request = head.post(b'{"a":\r\n1}', "s-1", "2025-06-18")
    assert request == (
        b"POST /mcp?a=1 HTTP/1.1\r\nHost: host\r\nX-Team: blue\r\nUser-Agent: meshctl\r\n"
        b"Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        b"Mcp-Session-Id: s-1\r\nMCP-Protocol-Version: 2025-06-18\r\nContent-Length: 9\r\n\r\n"
        b'{"a":\r\n1}'
    )


def test_a_get_and_a_delete_have_no_body() -> None:
    """Nor a length or a type of one."""
    head = RequestHead("http://host", {})
    assert lines(head.get("s", "v", "7")) == [
        "GET / HTTP/1.1", "Host: host", "User-Agent: meshctl", "Accept: text/event-stream",
        "Mcp-Session-Id: s", "MCP-Protocol-Version: v", "Last-Event-ID: 7",
    ]  # fmt: skip
    assert lines(head.delete("s", None)) == [
        "DELETE / HTTP/1.1", "Host: host", "User-Agent: meshctl", "Mcp-Session-Id: s",
    ]  # fmt: skip
    assert head.get(None, None, None).endswith(b"event-stream\r\n\r\n")


PLACES = {
    "http://host/": (Place(False, "host", 80), "host"),
    "http://HOST:80/": (Place(False, "host", 80), "host"),
    "http://host:443/": (Place(False, "host", 443), "host:443"),
    "https://host/": (Place(True, "host", 443), "host"),
    "https://host:443/": (Place(True, "host", 443), "host"),
    "https://host:80/": (Place(True, "host", 80), "host:80"),
    "http://a_b.example.:8080/": (Place(False, "a_b.example.", 8080), "a_b.example.:8080"),
    "http://[::1]/": (Place(False, "::1", 80), "[::1]"),
    "http://[::1]:81/": (Place(False, "::1", 81), "[::1]:81"),
    "http://user:pass@host:81/": (Place(False, "host", 81), "host:81"),
}


@pytest.mark.parametrize("url", PLACES)
def test_place_and_host_header(url: str) -> None:
    """RFC 9112 section 3.2: no userinfo, no default port, brackets around IPv6."""
    place, host = PLACES[url]
    head = RequestHead(url, {})
    assert head.place == place
    assert lines(head.post(b"", None, None))[1] == f"Host: {host}"


def test_userinfo_becomes_basic_authorization() -> None:
    """Unless a header of the operator's says it already, in whatever case."""
    url = "http://us%20er:p%40ss@host/"
    assert "Authorization: Basic dXMgZXI6cEBzcw==" in lines(RequestHead(url, {}).delete("s", None))
    own = RequestHead(url, {"authorization": "Bearer x"})
    said = [line for line in lines(own.delete("s", None)) if line.lower().startswith("auth")]
    assert said == ["authorization: Bearer x"]


def test_an_operators_user_agent_is_kept() -> None:
    """There is one of them then."""
    request = RequestHead("http://host/", {"user-agent": "mine"}).delete("s", None)
    assert [line for line in lines(request) if "agent" in line.lower()] == ["user-agent: mine"]


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\rb", "a\0b", "\x7f", "\ud800"])
def test_no_value_ends_its_line(value: str) -> None:
    """Not a configured one, not one of the moment; and the refusal does not repeat it."""
    with pytest.raises(ValueError, match="control character") as caught:
        RequestHead("http://host/", {"X-Key": f"secret{value}"})
    assert "secret" not in str(caught.value)
    head = RequestHead("http://host/", {})
    with pytest.raises(BadRequest):
        head.post(b"", value, None)
    with pytest.raises(BadRequest):
        head.post(b"", None, value)
    with pytest.raises(BadRequest):
        head.get(None, None, value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "\u00e9"])
def test_no_name_is_more_than_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="name that is none"):
        RequestHead("http://host/", {name: "x"})


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/", "http:///path", "//host/", "http://ho st/", "http://host/a b", "http://h\u00f6st/",
        "http://host/\u00e9", "http://host:99999/", "http://[::1/", "http://[junk]/", "http://a..b/",
        f"http://{'a' * 64}.b/",
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str) -> None:
    """Before anything is connected to."""
    with pytest.raises(ValueError):
        RequestHead(url, {})
