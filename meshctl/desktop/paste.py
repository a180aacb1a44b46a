"""What people paste from a README: JSON, a client's `mcp add` line, curl, a URL, a command.

This file tells the notations apart; `entries`, `client_lines`, `curl` and `launchers` read them.
Nothing pasted is ever executed, expanded or fetched.
"""

from __future__ import annotations

import re
from typing import Any

from meshctl.desktop.client_lines import is_client_line, read_client_line
from meshctl.desktop.curl import read_curl
from meshctl.desktop.entries import must_be_url, read_document, transport_of
from meshctl.desktop.errors import DesktopError, PasteError
from meshctl.desktop.jsonc import JsoncError, parse
from meshctl.desktop.launchers import is_launcher, server_name, starts_server
from meshctl.desktop.placeholders import placeholders
from meshctl.desktop.shell import OPERATORS, split_commands, take_assignments
from meshctl.desktop.spec import ServerSpec, bare_program, connection_name, looks_secret

__all__ = ["PasteError", "placeholders", "read_paste"]

SOURCE = "pasted"
LIMIT = 256 * 1024
"""The longest paste, in characters."""

_UNDERSTOOD = (
    'paste a URL, an "mcpServers" JSON block, a `claude mcp add` or `code --add-mcp` line, a curl'
    " line, or the command that starts the server (npx, uvx, docker run, python -m, node)"
)
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"\A`([^`]+)`\Z")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u00a0\u2007\u202f\u3000", " "),
    }
)
_JSON_START = re.compile(r'[{\[]|//|/\*|["\u201c][^"\u201c\u201d]*["\u201d][\s\u00a0]*:')


def read_paste(text: str) -> list[ServerSpec]:
    """Return the servers a pasted text describes, in its order, equal ones once.

    Placeholders stay as they are; `placeholders` lists them. Raises `PasteError`.
    """
    if len(text) > LIMIT:
        raise PasteError(f"the paste is longer than {LIMIT} characters", _UNDERSTOOD)
    text = text.translate(_INVISIBLE).strip()
    if not text:
        raise PasteError("the paste is empty", _UNDERSTOOD)
    blocks = [fence[2] for fence in _FENCE.finditer(text)] or [_INLINE.sub(r"\1", text)]
    specs: list[ServerSpec] = []
    errors: list[DesktopError] = []
    for block in filter(None, map(str.strip, blocks)):
        try:
            specs += (spec for spec in _read_block(block) if spec not in specs)
        except DesktopError as error:
            errors.append(error)
    if specs:
        # Beside the block that counts, a README's other fences hold "npm install" and the like.
        return specs
    if errors:
        raise PasteError(errors[0].sentence, errors[0].next) from errors[0]
    raise PasteError("the paste is an empty code block", _UNDERSTOOD)


def _read_block(text: str) -> list[ServerSpec]:
    if _JSON_START.match(text):
        return read_document(_read_json(text), SOURCE)
    text = text.translate(_TYPOGRAPHY)
    if re.fullmatch(r"<?[a-z][a-z+.-]*://\S+", text, re.IGNORECASE):
        url = must_be_url(text.strip("<>"), "the paste")
        return [
            ServerSpec(
                name=connection_name(url), transport=transport_of(url), url=url, source=SOURCE
            )
        ]
    return _read_lines(text)


def _read_json(text: str) -> Any:
    """Parse as written, then with straight quotes; `"name": {…}` gets the braces it lacks."""
    text = text.rstrip(", \t\r\n")
    failed: JsoncError | None = None
    for candidate in (text, text.translate(_TYPOGRAPHY)):
        is_fragment = re.match(r'(?:\s|//[^\n]*\n|/\*.*?\*/)*"', candidate, re.DOTALL)
        try:
            return parse(f"{{{candidate}\n}}" if is_fragment else candidate)
        except JsoncError as error:
            failed = failed or error
    raise DesktopError(
        f"the JSON does not parse: {failed}", "copy the whole block, from its first { to its last }"
    ) from failed


def _read_lines(text: str) -> list[ServerSpec]:
    specs: list[ServerSpec] = []
    exported: dict[str, str] = {}
    for words in split_commands(text):
        env, command = take_assignments(words)
        if words[0] == "export":
            exported |= env
            continue
        specs += _read_command(command, {**exported, **env})
    if not specs:
        raise DesktopError("the paste holds no command", _UNDERSTOOD)
    return specs


def _read_command(words: list[str], env: dict[str, str]) -> list[ServerSpec]:
    if not words:
        raise DesktopError("the paste sets variables and starts nothing", _UNDERSTOOD)
    program = bare_program(words[0])
    if program == "curl":
        return [read_curl(words, SOURCE)]
    operator = next((word for word in words if word in OPERATORS), None)
    if operator is not None:
        raise DesktopError(
            f"the line has {operator!r}, which only a shell understands",
            "paste the command that starts the server alone, without pipes and &&",
        )
    if is_client_line(words):
        return read_client_line(words, SOURCE)
    if not is_launcher(words[0]):
        raise DesktopError(f"{_seen(words[0])} begins nothing that is understood", _UNDERSTOOD)
    if not starts_server(words):
        raise DesktopError(
            f"this {program} line starts no server",
            "paste the command that starts it, such as npx -y NAME or docker run -i --rm IMAGE",
        )
    name = server_name(words)
    return [ServerSpec(name=name, transport="stdio", command=tuple(words), env=env, source=SOURCE)]


def _seen(word: str) -> str:
    """Quote a word of the paste in an error, unless it may be a credential."""
    if looks_secret("", word):
        return "a text that looks like a credential"
    return f'"{word[:30]}"' + ("…" if len(word) > 30 else "")
