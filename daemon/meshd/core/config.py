"""Every setting, declared once: name, environment variable, default, help."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from meshd.wire.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as an operator knows it."""

    env: str
    default: str
    help: str


SETTINGS: tuple[Setting, ...] = (
    Setting("MESHCTL_HOME", "the platform's state folder", "Folder that holds everything."),
    Setting("PORT", "3000, else the next free one", "TCP port of the MCP endpoint; 0 picks one."),
    Setting("HOST", "127.0.0.1", "Address to listen on; only loopback addresses are taken."),
    Setting("BASE_URL", "", "Public URL, when a proxy stands in front; its host is a right Host."),
    Setting("ALLOWED_HOSTS", "", "More right Host values, comma-separated."),
    Setting("ALLOWED_ORIGINS", "", "Right Origin values of browser clients, comma-separated."),
    Setting("OUTBOUND_ALLOW", "", "Hosts and CIDRs reachable although they are cloud metadata."),
    Setting("MESHCTL_LOG_LEVEL", "info", "debug, info, warning or error."),
)
"""The table that help topics and `daemon show` are made from."""

LEVELS = ("debug", "info", "warning", "error")
SOCKET = "meshd.sock"
SOCKET_BYTES = 103
"""The longest path of a Unix socket; macOS ends at 104 bytes with its NUL, Linux at 108."""
_AUTHORITY = re.compile(r"[^/\s?#@,]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@,]+")
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force, and where each came from."""

    home: Path
    port: int | None
    host: str
    base_url: str | None
    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str]
    outbound_allow: tuple[str, ...]
    log_level: str
    sources: Mapping[str, str]

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.home / SOCKET

    @property
    def lock(self) -> Path:
        """The file whose flock makes this the only daemon of its home."""
        return self.home / "meshd.lock"

    @property
    def master_key(self) -> Path:
        """Outside of what a backup copies."""
        return self.home / "keys" / "master.key"

    @property
    def log(self) -> Path:
        """The daemon's log."""
        return self.home / "logs" / "meshd.log"

    @property
    def data(self) -> Path:
        """Databases live here."""
        return self.home / "data"

    @property
    def children(self) -> Path:
        """One record per running child, so that a successor can end orphans."""
        return self.home / "run" / "children"


def read_config(environ: Mapping[str, str], *, port: int | None = None) -> Config:
    """The settings from the environment; `port` is the command line's and wins.

    Raises:
        BadRequest: a value is not valid, with the variable's name.
    """
    sources = {s.env: ("environment" if environ.get(s.env) else "default") for s in SETTINGS}
    if port is not None:
        sources["PORT"] = "command line"
    home = environ.get("MESHCTL_HOME") or ""
    if not home:
        raise BadRequest("MESHCTL_HOME is not set", next="meshctl daemon start")
    if len(os.fsencode(Path(home).absolute() / SOCKET)) > SOCKET_BYTES:
        raise BadRequest(f"MESHCTL_HOME is too long: a socket's path has {SOCKET_BYTES} bytes")
    host = environ.get("HOST") or "127.0.0.1"
    _check_loopback(host)
    level = (environ.get("MESHCTL_LOG_LEVEL") or "info").lower()
    if level not in LEVELS:
        raise _not_valid("MESHCTL_LOG_LEVEL", level, " ".join(LEVELS))
    base_url = (environ.get("BASE_URL") or "").rstrip("/") or None
    if base_url and not re.fullmatch(r"https?://[^/\s?#@]+", base_url):
        raise BadRequest("BASE_URL must be http(s)://HOST[:PORT] without a path")
    return Config(
        home=Path(home).absolute(),
        port=_port(environ.get("PORT") if port is None else str(port)),
        host=host,
        base_url=base_url,
        allowed_hosts=frozenset(_words(environ, "ALLOWED_HOSTS", _is_authority, "HOST[:PORT]")),
        allowed_origins=frozenset(
            _words(environ, "ALLOWED_ORIGINS", _is_origin, "https://HOST[:PORT]")
        ),
        outbound_allow=tuple(
            _words(environ, "OUTBOUND_ALLOW", _is_reachable, "a host, an address or a CIDR")
        ),
        log_level=level,
        sources=sources,
    )


def _words(
    environ: Mapping[str, str], name: str, is_valid: Callable[[str], bool], form: str
) -> list[str]:
    words = [word.strip().lower() for word in environ.get(name, "").split(",") if word.strip()]
    for word in words:
        if not is_valid(word):
            raise _not_valid(name, word, form)
    return words


def _is_authority(word: str) -> bool:
    return _AUTHORITY.fullmatch(word) is not None


def _is_origin(word: str) -> bool:
    return _ORIGIN.fullmatch(word) is not None


def _is_reachable(word: str) -> bool:
    try:
        return bool(ip_network(word, strict=False))
    except ValueError:
        return _HOST_NAME.fullmatch(word) is not None


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise _not_valid("PORT", text, "a number from 0 to 65535")
    return int(text)


def _not_valid(name: str, value: str, form: str) -> BadRequest:
    return BadRequest(f'{name} "{ascii(value[:100])[1:-1]}" is not valid', facts={"valid": form})


def _check_loopback(host: str) -> None:
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise BadRequest(
            f'HOST "{ascii(host)[1:-1]}" is not a loopback address',
            facts={"why": "beyond loopback TLS or a trusted proxy is needed"},
            next="HOST=127.0.0.1 meshctl daemon start",
        )
