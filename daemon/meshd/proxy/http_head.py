"""The bytes of requests to one upstream. What it is always told is encoded once. Pure."""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from meshd.wire.errors import BadRequest

ACCEPT = "application/json, text/event-stream"
SESSION = "Mcp-Session-Id"
VERSION = "MCP-Protocol-Version"
AGENT = "meshctl"
PORTS = {"http": 80, "https": 443}
SESSIONS = 1024
"""Sessions whose lines are kept encoded, per upstream."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110 section 5.6.2
_TARGET = re.compile(r"/[!-~]*")
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")


class Place(NamedTuple):
    """Where connections lead. `host` is a name or an address, without brackets."""

    tls: bool
    host: str
    port: int


class RequestHead:
    """Requests to one URL with an operator's own headers.

    Raises:
        ValueError: the URL or a header could not be sent as it is; the text holds no value.
    """

    def __init__(self, url: str, own: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in PORTS or not _is_host(host):
            raise ValueError("its URL names no host")
        self.place = Place(parts.scheme == "https", host, parts.port or PORTS[parts.scheme])
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not _TARGET.fullmatch(target):
            raise ValueError("its URL holds characters that no request can hold")
        fixed = {"Host": _host_header(self.place), **own}
        given = {name.lower() for name in own}
        if "user-agent" not in given:
            fixed["User-Agent"] = AGENT
        if "authorization" not in given and "@" in parts.netloc:
            pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            fixed["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        lines = b"".join(_line(name, value) for name, value in fixed.items())
        start = b" %b HTTP/1.1\r\n%b" % (target.encode(), lines)
        self._post = b"".join(
            (b"POST", start, _line("Accept", ACCEPT), _line("Content-Type", "application/json"))
        )
        self._plain = b"POST" + start
        self._get = b"".join((b"GET", start, _line("Accept", "text/event-stream")))
        self._delete = b"DELETE" + start
        self._fields = lru_cache(SESSIONS)(_fields)

    def post(
        self,
        body: bytes,
        session: str | None,
        version: str | None,
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        """One message, with `more` headers of its own.

        Raises:
            BadRequest: a value holds a character that would end its line.
        """
        fields = self._fields(session, version)
        if more:
            fields += b"".join(_checked_line(name, value) for name, value in more.items())
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self._post, fields, len(body), body)

    def plain_post(self, fields: Mapping[str, str], body: bytes) -> bytes:
        """A message that is no MCP, with headers of its own.

        Raises:
            ValueError: a header could not be sent as it is.
        """
        lines = b"".join(_line(name, value) for name, value in fields.items())
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (self._plain, lines, len(body), body)

    def get(self, session: str | None, version: str | None, last_event: str | None) -> bytes:
        """Asks for the stream of server messages. Raises as `post` does."""
        last = _checked_line("Last-Event-ID", last_event) if last_event is not None else b""
        return b"%b%b%b\r\n" % (self._get, self._fields(session, version), last)

    def delete(self, session: str, version: str | None) -> bytes:
        """Ends a session. Raises as `post` does."""
        return b"%b%b\r\n" % (self._delete, self._fields(session, version))


def _fields(session: str | None, version: str | None) -> bytes:
    lines = _checked_line(SESSION, session) if session is not None else b""
    return lines if version is None else lines + _checked_line(VERSION, version)


def _checked_line(name: str, value: str) -> bytes:
    if not value.isprintable():
        raise BadRequest(f"the value of {name} holds a control character")
    return f"{name}: {value}\r\n".encode()


def _line(name: str, value: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise ValueError("one of its headers has a name that is none")
    if not value.isprintable():
        raise ValueError(f"its header {name} holds a control character")
    return f"{name}: {value}\r\n".encode()


def _is_host(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return _HOST.fullmatch(host) is not None


def _host_header(place: Place) -> str:
    """RFC 9112 section 3.2: the URL's authority without userinfo; a default port is left out."""
    host = f"[{place.host}]" if ":" in place.host else place.host
    return host if place.port == PORTS["https" if place.tls else "http"] else f"{host}:{place.port}"
