"""The named queries of `sql/*.sql`, read once at start. Nothing here runs them.

A file is a row of blocks, each a heading, at least one comment line that says why, and one
statement with `:name` parameters:

    -- name: key.add
    -- Names are unique in an org, so a retry with the same name fails.
    INSERT INTO keys (id, name) VALUES (:id, :name)

`NOUN.sql` holds for every dialect; `NOUN.sqlite.sql` and `NOUN.postgres.sql` replace single names
for theirs.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Self, get_args

from meshd.store.db import Dialect, QueryUnknown, StoreError
from meshd.store.ownership import Reach, reach

_HEADING = re.compile(r"--\s*name\s*:\s*(.*?)\s*")
_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
# Literals, quoted names, comments and casts come first: what looks like a parameter or the end of
# a statement inside them is none.
_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | ::
    | :(?P<param>[A-Za-z_]\w*) | (?P<end>;)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_NESTED = re.compile(r"\([^()]*\)")
_WORD = re.compile(r"\w+")
_VERBS = {"SELECT", "VALUES", "INSERT", "UPDATE", "DELETE"}


@dataclass(frozen=True, slots=True)
class Query:
    """One statement and the parameters it names, in order of first appearance.

    `numbered` is the statement with `$1` for the first parameter and so on; `returns` tells whether
    it answers rows, and `reach` whose rows it is about.
    """

    name: str
    sql: str
    params: tuple[str, ...]
    numbered: str
    returns: bool
    reach: Reach

    def bind(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of exactly the values that the statement names, in the order of `params`.

        Raises:
            StoreError: a value is missing.
        """
        try:
            return {param: values[param] for param in self.params}
        except KeyError:
            missing = ", ".join(param for param in self.params if param not in values)
        raise StoreError(f"{self.name}: no value for {missing}")


class Queries:
    """Every query of one dialect by name."""

    def __init__(self, queries: Mapping[str, Query]) -> None:
        self._queries = dict(queries)

    @classmethod
    def load(cls, folder: Path, dialect: str = "sqlite") -> Self:
        """Read every `.sql` file of the folder.

        Raises:
            StoreError: no such folder, a file that breaks the format, or a name that is taken.
        """
        if not folder.is_dir():
            raise StoreError(f"no folder of queries at {folder}")
        shared: dict[str, Query] = {}
        own: dict[str, Query] = {}
        for path in sorted(folder.glob("*.sql")):
            suffix = path.stem.partition(".")[2]
            if suffix not in {"", *get_args(Dialect)}:
                raise StoreError(f"{path.name}: unknown dialect {suffix!r}")
            if suffix not in {"", dialect}:
                continue
            kept = own if suffix else shared
            for query in parse(path.read_text(encoding="utf-8"), path.name):
                if query.name in kept:
                    raise StoreError(f"{path.name}: the name {query.name} is taken")
                kept[query.name] = query
        return cls(shared | own)

    def query(self, name: str) -> Query:
        """The query of this name.

        Raises:
            QueryUnknown: there is none.
        """
        try:
            return self._queries[name]
        except KeyError:
            raise QueryUnknown(f"no query is named {name!r}") from None

    def sql(self, name: str) -> str:
        """The statement of this name, without its heading.

        Raises:
            QueryUnknown: there is none.
        """
        return self.query(name).sql

    def names(self) -> list[str]:
        """Every name, sorted."""
        return sorted(self._queries)


def parse(text: str, file: str) -> list[Query]:
    """The queries in the text of one file; `file` is for the errors.

    Raises:
        StoreError: the text breaks the format.
    """
    return [_block(name, lines, file) for name, lines in _blocks(text, file)]


def _blocks(text: str, file: str) -> Iterator[tuple[str, list[str]]]:
    """Each heading's name with the lines below it. Comments may stand above the first heading."""
    name, lines = "", list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if heading := _HEADING.fullmatch(line.strip()):
            if name:
                yield name, lines
            name, lines = heading[1], []
            if not _NAME.fullmatch(name):
                raise StoreError(f"{file}:{number}: {name!r} is not of the form noun.verb")
        elif name:
            lines.append(line)
        elif line.strip() and not _is_comment(line):
            raise StoreError(f"{file}:{number}: SQL above the first '-- name: noun.verb'")
    if name:
        yield name, lines


def _block(name: str, lines: list[str], file: str) -> Query:
    why = list(takewhile(_is_comment, lines))
    sql = "\n".join(lines[len(why) :]).strip()
    if not any(line.strip("- ") for line in why):
        raise StoreError(f"{file}: {name} has no comment line that says why")
    if not sql:
        raise StoreError(f"{file}: {name} has no statement")
    end = next((token.start() for token in _TOKEN.finditer(sql) if token["end"]), len(sql))
    if _COMMENT.sub("", sql[end + 1 :]).strip():
        raise StoreError(f"{file}: {name} holds more than one statement")
    return statement(name, sql[:end].rstrip())


def statement(name: str, sql: str) -> Query:
    """The query of a single statement that stands in no file.

    Raises:
        StoreError: it reaches over all orgs and may not.
    """
    params = dict.fromkeys(token["param"] for token in _TOKEN.finditer(sql) if token["param"])
    numbers = {param: f"${number}" for number, param in enumerate(params, 1)}
    numbered = _TOKEN.sub(lambda token: numbers.get(token["param"], token[0]), sql)
    bare = _TOKEN.sub(" ", sql)
    return Query(
        name, sql, tuple(params), numbered, _returns(bare), reach(name, bare, tuple(params))
    )


def _returns(bare: str) -> bool:
    """Whether a statement answers rows, by the words that stand in no parentheses."""
    rest, nested = bare.upper(), 1
    while nested:
        rest, nested = _NESTED.subn(" ", rest)
    words = _WORD.findall(rest)
    verb = next((word for word in words if word in _VERBS), "")
    return verb in {"SELECT", "VALUES"} or "RETURNING" in words


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("--")
