"""Holes that a paste leaves for its reader: `${VAR}`, `<YOUR_TOKEN>`, `YOUR_API_KEY`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshctl.desktop.spec import ServerSpec, looks_secret

_HOLE = re.compile(
    r"\$\{[^{}]*\}"  # ${VAR}, ${env:VAR}, ${input:x}, ${VAR:-default}
    r"|\$\([^()]*\)"  # $(command), which nothing here will run
    r"|\$[A-Z_][A-Z0-9_]{2,}"  # $VAR, which only a shell would fill
    r"|\{\{[^{}]*\}\}"
    r"|<[A-Za-z][^<>\n]*>"
    r"|\[YOUR[^\]\n]*\]"
    r"|(?<![A-Za-z0-9])your[-_ .][\w.-]*\w"
    r"|(?<![A-Za-z0-9])(?:REPLACE|CHANGE)[-_]?(?:ME|THIS)\b"
    r"|\b[A-Z0-9_]+_HERE\b"
    r"|[/\\]path[/\\]to[/\\]|[/\\]Users[/\\](?:username|you|yourname)(?=[/\\])"
    r"|(?<![A-Za-z0-9])[xX]{4,}(?![A-Za-z0-9])|\*{4,}|(?<!/)\.{3}(?![\w/])|…",
    re.IGNORECASE,
)
# IGNORECASE is for "your" and "replace"; an upper-case shell variable is meant as written.
_SHELL_NAME = re.compile(r"\$[A-Z_][A-Z0-9_]{2,}")


def placeholders(spec: ServerSpec) -> list[str]:
    """Return one line for each hole still in the spec, such as `env TOKEN holds <YOUR_TOKEN>`.

    Only the hole itself is shown, never the value around it. A credential left empty is a hole.
    """
    lines: list[str] = []
    for place, value in _fields(spec):
        lines += (f"{place} holds {hole}" for hole in dict.fromkeys(_holes(value)))
    for place, values in (("env", spec.env), ("header", spec.headers)):
        lines += (
            f"{place} {name} is empty"
            for name, value in values.items()
            if not value.strip() and looks_secret(name, "x")
        )
    return lines


def _fields(spec: ServerSpec) -> Iterator[tuple[str, str]]:
    if spec.url is not None:
        yield "url", spec.url
    for name, value in spec.headers.items():
        yield f"header {name}", value
    for position, word in enumerate(spec.command):
        yield (f"argument {position}" if position else "command"), word
    for name, value in spec.env.items():
        yield f"env {name}", value
    if spec.cwd is not None:
        yield "cwd", spec.cwd


def _holes(value: str) -> Iterator[str]:
    for match in _HOLE.finditer(value):
        hole = match[0]
        if hole[0] == "$" and hole[1] not in "{(" and not _SHELL_NAME.fullmatch(hole):
            continue
        yield hole
