"""What may be configured: URLs, headers, commands and environments of connections. Pure."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from meshd.wire.errors import BadRequest

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # token, RFC 9110 section 5.6.2
_OURS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te",
    "trailer", "proxy-authorization", "proxy-connection", "accept", "content-type",
    "mcp-session-id", "mcp-protocol-version", "last-event-id", "accept-encoding", "expect",
})  # fmt: skip
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
MAX_VALUE = 16 * 1024
"""Characters of one value, or of a whole command."""
MAX_VALUES = 100
"""Headers, or environment variables, of one connection."""


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port, to which stored credentials are bound."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def check_headers(headers: Mapping[str, str]) -> None:
    """Pass headers that an upstream may be sent.

    Raises:
        BadRequest: a name or value is not valid, repeated in another case, or meshctl's own.
    """
    if len({name.lower() for name in headers}) < len(headers):
        raise BadRequest("a header is given twice")
    if len(headers) > MAX_VALUES:
        raise BadRequest(f"more than {MAX_VALUES} headers")
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            raise BadRequest(f'"{ascii(name[:60])[1:-1]}" is not the name of a header')
        if name.lower() in _OURS:
            raise BadRequest(f"the header {name} is set by meshctl itself")
        if len(value) > MAX_VALUE or not value.isascii() or not value.isprintable():
            raise BadRequest(
                f"the value of header {name} is not valid",
                facts={"values are": f"printable ASCII, at most {MAX_VALUE} characters"},
            )


def check_command(command: Sequence[str], cwd: str | None) -> None:
    """Pass a command line and a folder to run it in.

    Raises:
        BadRequest: it is empty, too long, or holds a reference to a secret, which others could
            see in the list of processes; or there is no such folder.
    """
    if not command or not command[0]:
        raise BadRequest("the command is empty", next="meshctl connect NAME -- COMMAND ARGUMENT…")
    if any("\0" in word for word in command) or sum(len(word) + 1 for word in command) > MAX_VALUE:
        raise BadRequest(f"the command is over {MAX_VALUE} characters, or holds a NUL")
    if any(word.startswith("secret://") for word in command):
        raise BadRequest(
            "secret:// cannot stand in a command: others could see it", next="use --env K=V"
        )
    if cwd is not None and not (Path(cwd).is_absolute() and Path(cwd).is_dir()):
        raise BadRequest(f"{ascii(cwd[:200])[1:-1]} is not an absolute path of a folder")


def check_env(env: Mapping[str, str]) -> None:
    """Pass environment variables for a program.

    Raises:
        BadRequest: a name or value is not valid, or meshctl's own.
    """
    if len(env) > MAX_VALUES:
        raise BadRequest(f"more than {MAX_VALUES} environment variables")
    for name, value in env.items():
        if not _ENV.fullmatch(name):
            raise BadRequest(f'"{ascii(name[:60])[1:-1]}" is not the name of a variable')
        if name.startswith("MESHCTL_"):
            raise BadRequest(f"{name} is kept for meshctl itself")
        if len(value) > MAX_VALUE or "\0" in value:
            raise BadRequest(f"the value of {name} is too long or holds a NUL")


def introduction(initialize: bytes) -> tuple[str | None, str | None]:
    """Server name with version, and protocol, from an `initialize` result."""
    try:
        result = msgspec.json.decode(initialize)
        info = result.get("serverInfo") or {}
        name = f"{info.get('name', '?')} {info.get('version', '')}".strip()
        version = result.get("protocolVersion")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError):
        return None, None
    return name[:100], version[:20] if isinstance(version, str) else None


def host_of(url: str) -> str:
    """The host of an upstream's URL.

    Raises:
        BadRequest: it is not an http or https URL, or has a fragment.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= 4096
    if parts.scheme not in {"http", "https"} or not host or not plain or port == 0:
        raise BadRequest(
            "that is not a URL of an MCP server", facts={"URLs are": "https://HOST[:PORT]/PATH"}
        )
    if parts.fragment:
        raise BadRequest("an MCP server's URL has no #fragment")
    return host
