"""A curl line as an HTTP server: its URL and those headers that belong to the server."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence

from meshctl.desktop.entries import must_be_url, transport_of
from meshctl.desktop.errors import DesktopError
from meshctl.desktop.shell import OPERATORS, header
from meshctl.desktop.spec import ServerSpec, connection_name

# Set anew for each request, or curl's and the browser's own.
_OWN = re.compile(
    r"(?:content-(?:type|length)|accept(?:-\w+)?|host|connection|user-agent|origin|referer"
    r"|cache-control|pragma|last-event-id|(?:mcp|sec)-.*)",
    re.IGNORECASE,
)
_VALUED = "AbcCdDeEFHKmoPQrtTuUwxXyYz"  # short options that take a value
_LONG_VALUED = re.compile(
    r"--(?:data(?:-\w+)*|json|request|output|url|user-agent|referer|proxy|max-time|form|retry"
    r"|connect-timeout|cookie|cookie-jar|header|user|oauth2-bearer|write-out|resolve|cacert)"
)


def read_curl(words: Sequence[str], source: str) -> ServerSpec:
    """Return the server a curl line talks to; method, body and curl's own switches are dropped."""
    url = None
    headers: dict[str, str] = {}
    for option, value in _options(words[1:]):
        match option:
            case "" | "--url":
                url = url or value
            case "-H" | "--header" if not value.startswith("@"):
                name, text = header(value)
                if text and not _OWN.fullmatch(name):
                    headers[name] = text
            case "-u" | "--user":
                headers["Authorization"] = f"Basic {b64encode(value.encode()).decode()}"
            case "--oauth2-bearer":
                headers["Authorization"] = f"Bearer {value}"
            case "-b" | "--cookie" if "=" in value:
                headers["Cookie"] = value
    if url is None:
        raise DesktopError("a curl line without a URL", "copy the whole line")
    return ServerSpec(
        name=connection_name(url),
        transport=transport_of(must_be_url(url, "the curl line")),
        url=url,
        headers=headers,
        source=source,
    )


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (option, value), with "" as the option of a plain word; stops at a pipe."""
    rest = list(words)
    while rest and rest[0] not in OPERATORS:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            yield "", word
        elif word.startswith("--"):
            option, equals, value = word.partition("=")
            if not equals and _LONG_VALUED.fullmatch(option):
                value = rest.pop(0) if rest else ""
            yield option, value
        else:
            yield from _short(word, rest)


def _short(word: str, rest: list[str]) -> Iterator[tuple[str, str]]:
    """Read `-sSH value` and `-Hvalue`: the first letter that takes a value ends the bundle."""
    for place, letter in enumerate(word[1:], start=2):
        if letter in _VALUED:
            attached = word[place:]
            yield f"-{letter}", attached or (rest.pop(0) if rest else "")
            return
        yield f"-{letter}", ""
