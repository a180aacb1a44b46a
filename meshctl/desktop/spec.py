"""One MCP server as somebody wrote it down: its shape, a legal name for it, and what is secret.

How the many notations are read is elsewhere: `entries` (JSON), `commands` and `curl` (lines).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Transport = Literal["http", "sse", "stdio"]

RESERVED = frozenset({"self", "sse", "well-known", "mcp"})
"""Path words of the gateway, which no connection may be called."""

FALLBACK_NAME = "server"


@dataclass(frozen=True, slots=True, repr=False)
class ServerSpec:
    """A server to connect to: `url` and `headers`, or `command` (argv), `env` and `cwd`.

    `repr` shows no value that may hold a credential: headers, env, arguments, a URL's query.
    """

    name: str
    transport: Transport
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    cwd: str | None = None
    source: str = ""
    disabled: bool = False

    def __repr__(self) -> str:
        shown = [repr(self.name), self.transport]
        if self.url is not None:
            shown.append(bare_url(self.url))
        if self.headers:
            shown.append(f"headers={list(self.headers)}")
        if self.command:
            rest = f" +{len(self.command) - 1}" if self.command[1:] else ""
            shown.append(f"command={self.command[0]}{rest}")
        if self.env:
            shown.append(f"env={list(self.env)}")
        return f"ServerSpec({', '.join(shown)})"


def bare_url(url: str) -> str:
    """Return the URL fit to show: without userinfo, `?…` for a query, without a fragment."""
    head, _, query = url.partition("#")[0].partition("?")
    shown = re.sub(r"(?<=//)[^/]*@", "", head)
    return f"{shown}?…" if query else shown


def bare_program(path: str) -> str:
    """Return a program's name without its folder."""
    return path.replace("\\", "/").rpartition("/")[2].removesuffix(".exe").removesuffix(".cmd")


# Words that say "this is an MCP server" and nothing about which one.
_AFFIX = re.compile(
    r"^(?:mcp-server|server-mcp|server|mcp)-(?=.)|(?<=.)-(?:mcp-server|server|mcp)$"
)
_VERSION = re.compile(r"(?<=.)(?:@|==|>=|~=|\[).*$")
_IMAGE_TAG = re.compile(r":[\w.-]+$")
_HOST = re.compile(
    r"^(?:[a-z]+\+)?[a-z]+://(?:[^/@]*@)?(\[[^]]*\]|[^/:?#]*)(?::\d+)?([^?#]*)", re.IGNORECASE
)
_HOST_NOISE = frozenset({"www", "mcp", "api", "server", "remote", "app"})
_FORGES = frozenset({"github.com", "gitlab.com", "codeberg.org", "bitbucket.org"})


def connection_name(text: str) -> str:
    """Return a legal connection name for a package, an image, a URL or any other text.

    The form is `[a-z0-9][a-z0-9-]{0,39}` and never a reserved word; applying it twice changes
    nothing. `@scope/server-foo` gives `foo`, `https://mcp.linear.app/sse` gives `linear`.
    """
    text = text.strip()
    if address := _HOST.match(text):
        parts = _url_parts(address[1], address[2])
    else:
        parts = text.split("/")
    for part in reversed(parts):
        # A version may hold an "@" of its own only after the first character: "@scope" is a scope.
        name = _plain(_IMAGE_TAG.sub("", _VERSION.sub("", part)))
        if name and name not in RESERVED:
            return name
    return FALLBACK_NAME


def _url_parts(host: str, path: str) -> list[str]:
    """Return what a URL offers for a name, the most telling part last."""
    steps = [step.removesuffix(".git") for step in path.split("/") if step]
    if host.casefold() in _FORGES:
        return steps
    labels = host.casefold().split(".")
    if len(labels) < 2 or labels[-1].isdecimal() or host.startswith("["):
        return [host, *reversed(steps)] if steps else [host]
    inner = labels[:-1]
    # "example.co.uk": a short second-level label under a country is no name.
    if len(inner) > 1 and len(inner[-1]) <= 3 and len(labels[-1]) == 2:
        inner = inner[:-1]
    telling = [label for label in inner if label not in _HOST_NOISE]
    return telling or inner


def _plain(text: str) -> str:
    """Fold to `[a-z0-9-]`, without MCP affixes, at most 40 characters; may be empty."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_only.casefold())
    while True:
        cut = _AFFIX.sub("", name.strip("-")[:40].strip("-"))
        if cut == name:
            return name
        name = cut


_SECRET_NAME = re.compile(
    r"(?:^|[-_.\s])(?:"
    r"(?:token|secret|password|passwd|passphrase|credentials?|bearer|cookie|pat|dsn)"
    r"|api[-_]?key|(?:access|private|secret|service|signing|encryption|auth)[-_]?key|pwd"
    r"|authorization|(?:x[-_])?auth|key"
    r")(?:[-_]?\d+)?$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_SHAPE = re.compile(
    r"(?:sk|pk|rk)[-_](?:live_|test_|ant-|proj-|or-)?[\w-]{8,}"
    r"|gh[pousr]_\w{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{20,}|ya29\.[\w-]{8,}|eyJ[\w-]{8,}\.[\w-]+"
    r"|(?:hf|npm|lin_api|ntn|secret|figd|shpat|dop_v1|gsk|tvly|fc|pypi)[-_][\w-]{16,}"
    r"|SG\.[\w-]{8,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_USERINFO = re.compile(r"[a-z][\w+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
_SCHEME = re.compile(r"^(?:Bearer|Basic|Token|ApiKey)\s+", re.IGNORECASE)
_REFERENCE = re.compile(r"^(?:env:|secret://|@|\$\{)")
_HARMLESS = re.compile(r"^(?:\d{0,6}|true|false|yes|no|on|off|none|null)$", re.IGNORECASE)
_KEY_BITS = 3.0  # Shannon entropy per character; hexadecimal keys reach about 3.6


def looks_secret(text_or_name: str, value: str) -> bool:
    """Tell whether an env, header or option value looks like a credential: by name or by shape.

    For warnings only: it errs on both sides. References (`env:X`, `secret://x`, `@file`, `${X}`)
    and short switches (`true`, `4096`) are never secret.
    """
    value = value.strip()
    bare = _SCHEME.sub("", value)
    if _REFERENCE.match(bare) or _HARMLESS.match(bare):
        return False
    if _SECRET_SHAPE.match(bare) or _USERINFO.match(bare) or bare != value:
        return True
    if _SECRET_NAME.search(_CAMEL.sub("_", text_or_name)):
        return True
    return _is_random(bare)


def _is_random(value: str) -> bool:
    """Tell whether a word has the spread of a generated key rather than that of words or a path."""
    if not re.fullmatch(r"[\w+=./-]{24,}", value, re.ASCII):
        return False
    # A UUID, a path or a host name has no run this long, and words seldom have a digit.
    if not re.search(r"\d", value) or not re.search(r"[\w+=]{16}", value, re.ASCII):
        return False
    # Seven small letters in a row: seldom in a key, always in prose, paths and package names.
    if re.search(r"[a-z]{7}", value):
        return False
    shares = [value.count(char) / len(value) for char in set(value)]
    return -sum(share * math.log2(share) for share in shares) >= _KEY_BITS
