"""Command lines that add a server to a client: `claude mcp add …`, `code --add-mcp …`.

`codex`, `gemini` and others took over the form of `claude mcp add`, so any program's is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from meshctl.desktop.entries import must_be_url, read_document, read_entry, transport_of
from meshctl.desktop.errors import DesktopError
from meshctl.desktop.jsonc import JsoncError, parse
from meshctl.desktop.launchers import is_launcher, server_name
from meshctl.desktop.shell import header, is_assignment
from meshctl.desktop.spec import ServerSpec

_LONG = {"-t": "--transport", "-s": "--scope", "-H": "--header", "-e": "--env"}
_VALUED = re.compile(
    r"--(?:transport|scope|header|env|url|client-id|callback-port|timeout|description"
    r"|bearer-token-env-var)"
)
_FORM = (
    "the form is: claude mcp add NAME -- COMMAND …, or: claude mcp add --transport http NAME URL"
)


@dataclass(slots=True)
class _Line:
    """The words of one `mcp add` line, sorted."""

    words: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


def is_client_line(words: Sequence[str]) -> bool:
    """Tell whether `read_client_line` is the one to ask."""
    is_mcp_command = words[1:2] == ["mcp"] and not is_launcher(words[0])
    return is_mcp_command or any(word.startswith("--add-mcp") for word in words[1:])


def read_client_line(words: Sequence[str], source: str) -> list[ServerSpec]:
    """Return the servers the line would add; raises `DesktopError`."""
    if words[1:2] != ["mcp"]:
        return _read_add_mcp(words, source)
    verb = words[2] if len(words) > 2 else ""
    if verb not in {"add", "add-json"}:
        raise DesktopError("an mcp line that adds no server", _FORM)
    line = _sort(words[3:])
    if len(line.words) < 2 and "--url" not in line.options:
        raise DesktopError("an mcp add line without a name, or without a server", _FORM)
    if verb == "add-json":
        return [read_entry(line.words[0], _json(line.words[1]), source)]
    return [_read_add(line, source)]


def _sort(words: Sequence[str]) -> _Line:
    """Sort words into options and the rest; after `--` everything is the server's command.

    An option the client does not have belongs to the server's command once that has begun.
    """
    line, rest = _Line(), list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            line.words += rest
            break
        option, equals, value = word.partition("=")
        option = _LONG.get(option, option)
        if _VALUED.fullmatch(option):
            if not equals:
                if not rest:
                    raise DesktopError(f"{option} without its value", _FORM)
                value = rest.pop(0)
            _keep(line, option, value)
            # `-e A=1 B=2`: these two options take several values.
            while rest and _continues(option, rest[0]):
                _keep(line, option, rest.pop(0))
        elif not word.startswith("-") or len(line.words) >= 2:
            line.words.append(word)
    return line


def _continues(option: str, word: str) -> bool:
    if option == "--env":
        return is_assignment(word)
    return option == "--header" and ": " in word and not word.startswith("-")


def _keep(line: _Line, option: str, value: str) -> None:
    if option == "--header":
        name, text = header(value)
        line.headers[name] = text
    elif option == "--env":
        name, equals, text = value.partition("=")
        if not equals:
            raise DesktopError(f"{option} without NAME=VALUE", _FORM)
        line.env[name] = text
    else:
        line.options[option] = value


def _read_add(line: _Line, source: str) -> ServerSpec:
    name, command = line.words[0] if line.words else "", tuple(line.words[1:])
    said = line.options.get("--transport")
    url = line.options.get("--url")
    is_remote = said not in {None, "stdio"}
    if url is None and (is_remote or command[0].startswith(("http://", "https://"))):
        url = command[0]
    if url is None:
        return ServerSpec(
            name=name or server_name(command),
            transport="stdio",
            command=command,
            env=line.env,
            source=source,
        )
    if variable := line.options.get("--bearer-token-env-var"):
        line.headers["Authorization"] = f"Bearer ${{{variable}}}"
    must_be_url(url, f'"{name}"')
    entry = {"url": url, "type": said or transport_of(url), "headers": line.headers}
    return read_entry(name or None, entry, source)


def _read_add_mcp(words: Sequence[str], source: str) -> list[ServerSpec]:
    specs: list[ServerSpec] = []
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == "--add-mcp":
            specs += read_document(
                _json(value if equals else "".join(words[place + 1 :][:1])), source
            )
    return specs


def _json(text: str) -> object:
    try:
        return parse(text)
    except JsoncError as error:
        raise DesktopError(
            f"the JSON in the line does not parse: {error}",
            "copy the whole line, and keep the single quotes around the JSON",
        ) from error
