"""Reading files of settings: `config.json`, and files of `KEY=VALUE` lines.

What is a setting, and whether its value is valid, is decided in `config`.
"""

import re
from collections.abc import Collection, Generator, Iterator
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any, NamedTuple

from meshd.wire.errors import BadRequest

MAX_BYTES = 256 * 1024
_SPACE = re.compile(r"[ \t\r\n]*")
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t"}


class Line(NamedTuple):
    """A setting as a file has it, and on which line."""

    name: str
    text: str
    line: int


def read_json(path: Path, objects: Collection[str] = ()) -> list[Line]:
    """The members of a JSON object, in order; lists are joined with commas.

    It is flat but for members of the names `objects`, whose own members are named `OBJECT.NAME`.

    Raises:
        FileNotFoundError: there is no such file.
        BadRequest: it cannot be read or is not such an object, with the file and the line.
    """
    text = _read(path)
    lines: dict[str, Line] = {}
    try:
        for name, value, at in _members(text, objects):
            number = text.count("\n", 0, at) + 1
            if name in lines:
                raise wrong(path, number, "this name stands here twice", key=shown(name))
            lines[name] = Line(name, _text(path, number, name, value), number)
    except JSONDecodeError as error:
        why = f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        raise wrong(path, error.lineno, why) from None
    except (ValueError, RecursionError):  # numbers too long to read, nesting too deep
        raise wrong(path, text.count("\n") + 1, "a number or a nesting without end") from None
    return list(lines.values())


def _members(text: str, objects: Collection[str]) -> Iterator[tuple[str, Any, int]]:
    """Key, value and place of each member. Python's own reader does not tell the places."""
    at = yield from _within(text, 0, "", objects)
    if (end := _skip(text, at)) != len(text):
        raise JSONDecodeError("nothing may follow the object", text, end)


def _within(
    text: str, at: int, prefix: str, objects: Collection[str]
) -> Generator[tuple[str, Any, int], None, int]:
    """The members of the object that begins at a place; gives the place behind it."""
    decoder = JSONDecoder()
    at = _past("{", text, at)
    while text[at : at + 1] != "}":
        start = at
        if text[at : at + 1] != '"':
            raise JSONDecodeError("a name in double quotes is expected", text, at)
        name, at = decoder.raw_decode(text, at)
        name, at = prefix + name, _past(":", text, at)
        if name in objects and text[at : at + 1] == "{":
            at = yield from _within(text, at, f"{name}.", objects)
        else:
            value, at = decoder.raw_decode(text, at)
            yield name, value, start
        at = _skip(text, at)
        if text[at : at + 1] != "}":
            at = _past(",", text, at)
            if text[at : at + 1] == "}":
                raise JSONDecodeError("a name is expected after a comma", text, at)
    return at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _past(mark: str, text: str, at: int) -> int:
    """Behind `mark` and the space around it."""
    at = _skip(text, at)
    if not text.startswith(mark, at):
        raise JSONDecodeError(f'"{mark}" is expected', text, at)
    return _skip(text, at + 1)


def _text(path: Path, line: int, name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value).lower()  # a flag as it is written here
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return ",".join(value)
    why = "a string, a whole number, true, false or a list of strings is expected"
    raise wrong(path, line, why, key=shown(name))


def read_env(path: Path) -> list[Line]:
    r"""The `KEY=VALUE` lines of a file; a later line beats an earlier one of the same name.

    Blank lines and lines that begin with `#` are skipped, `export ` before a name too. A value in
    single quotes is taken as it is; in double quotes `\n`, `\t` and `\` before any other
    character are read; without quotes ` #` begins a comment. Nothing is expanded.

    Raises:
        BadRequest: it cannot be read, or a line is no such line, with the file and the line.
    """
    try:
        text = _read(path)
    except FileNotFoundError:
        raise BadRequest("there is no such file", facts={"file": shown(str(path))}) from None
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()  # noqa: PLW2901 - the line without what is around it
        if line and not line.startswith("#"):
            match = _LINE.fullmatch(line)
            if match is None:
                raise wrong(path, number, "not a line of the form KEY=VALUE")
            found.append(Line(match[1], _unquoted(path, number, match[2]), number))
    return found


def _unquoted(path: Path, line: int, text: str) -> str:
    quote = text[:1]
    if quote not in {"'", '"'} or not quote:
        return re.split(r"(?:^|\s+)#", text, maxsplit=1)[0].rstrip()
    inside = r"((?:\\.|[^\"\\])*)" if quote == '"' else r"([^']*)"
    match = re.fullmatch(f"{quote}{inside}{quote}" + r"\s*(?:#.*)?", text)
    if match is None:
        raise wrong(path, line, "the quote does not end, or something follows it")
    if quote == "'":
        return match[1]
    return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), match[1])


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadRequest(
            f"the settings cannot be read: {error.strerror}", facts={"file": shown(str(path))}
        ) from None
    if len(data) > MAX_BYTES:
        raise wrong(path, 1, f"longer than {MAX_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong(path, data.count(b"\n", 0, error.start) + 1, "not valid UTF-8") from None


def wrong(path: Path, line: int, why: str, **facts: str) -> BadRequest:
    """The refusal of a file: what is wrong, where. `why` and `facts` hold no secret."""
    return BadRequest(
        f"{shown(path.name)}: {why}",
        facts={"file": shown(str(path)), "line": str(line), **facts},
    )


def shown(text: str) -> str:
    """A foreign text in a message: not too long, and on one line."""
    return ascii(text[:300])[1:-1]
