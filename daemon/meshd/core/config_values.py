"""What the values of settings look like, and how their text is read. Pure; knows no setting."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, cast, get_args

from meshd.core.clock import MICROSECONDS, seconds
from meshd.core.database_url import read_database, shown_database
from meshd.core.redact import redact_text
from meshd.core.secret import MASK
from meshd.wire.errors import BadRequest

LEVELS = ("debug", "info", "warning", "error")
Access = Literal["key", "loopback", "open", "off"]
"""Who may read metrics over TCP: who shows a key with `self/metrics.read`; that, or anybody on
this machine; anybody; nobody."""
SHORTEST_KEEP, LONGEST_KEEP = 60, 36500 * 86400
"""Seconds: housekeeping runs once a minute; a hundred years are for ever."""

_AUTHORITY = re.compile(r"[^/\s?#@,]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@,]+")
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?")
_SWITCH = {"1": True, "true": True, "yes": True, "on": True,
           "0": False, "false": False, "no": False, "off": False}  # fmt: skip
_URL = re.compile(r"https?://[^/\s?#@]+")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: its short name, what is valid, and how a text becomes a value.

    `read` raises ValueError or BadRequest for a text that is not valid. Neither it nor `show` ever
    sees an empty one.
    """

    name: str
    form: str
    read: Callable[[str], Any]
    empty: Any = None
    """What stands for a text that is empty."""
    show: Callable[[str], str] = redact_text
    """The text as it may be shown."""

    def value(self, text: str) -> Any:
        """The value that `text` says.

        Raises:
            ValueError: it is not valid.
        """
        if not text.strip():
            return self.empty
        try:
            return self.read(text.strip())
        except BadRequest as error:
            raise ValueError(error.message) from None


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # the home of a user who is not there
        raise ValueError from None


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise ValueError
    return int(text)


def _address(text: str) -> str:
    return text if text == "localhost" else str(ip_address(text))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address to listen on."""
    return host == "localhost" or ip_address(host).is_loopback


def _url(text: str) -> str:
    if not _URL.fullmatch(text.rstrip("/")):
        raise ValueError
    return text.rstrip("/")


def _level(text: str) -> str:
    if text.lower() not in LEVELS:
        raise ValueError
    return text.lower()


def _access(text: str) -> Access:
    for access in get_args(Access):
        if text.lower() == access:
            return cast("Access", access)
    raise ValueError


def _keep(text: str) -> int:
    span = seconds(text)
    if not SHORTEST_KEEP <= span <= LONGEST_KEEP:
        raise ValueError
    return span * MICROSECONDS


def _rate(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,7}", text) or not 1 <= int(text) <= 1_000_000:
        raise ValueError
    return int(text)


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise ValueError
    return _SWITCH[text.lower()]


def _argv(text: str) -> tuple[str, ...]:
    words = tuple(shlex.split(text))  # quotes as in a shell; nothing is expanded
    if not words or not words[0]:
        raise ValueError
    return words


def _hidden(text: str) -> str:
    del text
    return MASK


def _words(is_valid: Callable[[str], object]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        words = tuple(word.strip().lower() for word in text.split(",") if word.strip())
        if not all(map(is_valid, words)):
            raise ValueError
        return words

    return read


def _is_network(word: str) -> bool:
    try:
        return bool(ip_network(word, strict=False))
    except ValueError:
        return False


def _is_reachable(word: str) -> bool:
    return _is_network(word) or _HOST_NAME.fullmatch(word) is not None


PATH = Kind("path", "the path of a file or folder", _path)
PORT = Kind("port", "a number from 0 to 65535", _port)
ADDRESS = Kind("address", "an IP address, or localhost", _address)
URL = Kind("url", "http(s)://HOST[:PORT] without a path", _url)
HOSTS = Kind("list", "HOST[:PORT], comma-separated", _words(_AUTHORITY.fullmatch), ())
ORIGINS = Kind("list", "https://HOST[:PORT], comma-separated", _words(_ORIGIN.fullmatch), ())
NETWORKS = Kind("list", "addresses or CIDRs, comma-separated", _words(_is_network), ())
REACHABLE = Kind("list", "hosts, addresses or CIDRs, comma-separated", _words(_is_reachable), ())
LEVEL = Kind("level", " ".join(LEVELS), _level)
ACCESS = Kind("access", " ".join(get_args(Access)), _access)
SWITCH = Kind("switch", "1 or 0, true or false, yes or no, on or off", _switch, False)
COMMAND = Kind(
    "command", "a program and its arguments, quoted as in a shell", _argv, (), show=_hidden
)
SECRET = Kind("secret", "a secret text", str, show=_hidden)
RATE = Kind("number", "a whole number from 1 to 1000000", _rate)
KEEP = Kind("duration", "a duration such as 12h or 30d, from 1m to 36500d", _keep)
DATABASE = Kind(
    "database",
    "file:PATH, sqlite:PATH, postgres://… or postgresql://…; special characters as %40",
    read_database,
    show=shown_database,
)
