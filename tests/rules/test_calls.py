"""The call table and the error table are complete, and every floor has its part of each row."""

import ast
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import get_args

import msgspec
import pytest

from meshd.wire import errors
from meshd.wire.calls import CALLS
from meshd.wire.calls.row import Call, Right
from meshd.wire.empty import Nothing
from meshd.wire.errors import EXIT_CODES, KINDS, MeshError
from tests.rules.sources import PACKAGES, Source, sources

NAME = re.compile(r"[a-z]+(\.[a-z]+(_[a-z]+)*)?")
FIELD = re.compile(r"\{(\w+)\}")


def flaws(calls: Iterable[Call]) -> Iterator[str]:
    """What is wrong with a table of calls."""
    names, paths = set(), set()
    for call in calls:
        shape = call.method, FIELD.sub("{}", call.path)
        if call.name in names or shape in paths:
            yield f"{call.name} or its path is there twice"
        names.add(call.name)
        paths.add(shape)
        if not NAME.fullmatch(call.name) or not call.path.startswith("/v1/"):
            yield f"{call.name} at {call.path} is not named as calls are"
        if missing := set(FIELD.findall(call.path)) - set(call.asks.__struct_fields__):
            yield f"{call.name} has {missing} in its path and not in its request"
        if call.right not in get_args(Right):
            yield f"{call.name} says of nobody that they may"
        if call.name.startswith(("daemon.", "db.")) and not call.socket_only:
            yield f"{call.name} belongs on the socket alone"
        fields = getattr(call.answers, "__struct_fields__", ())
        if call.secret != bool({"key", "secret"} & set(fields)):
            yield f"{call.name} is wrong about a secret in its answer"


def _rows(noun: str) -> dict[str, Call]:
    """The rows that a module defines, by their constant's name."""
    found = vars(import_module(f"meshd.wire.calls.{noun}"))
    return {name: value for name, value in found.items() if isinstance(value, Call)}


def _nouns() -> list[str]:
    """By their files alone: no worker is to parse every source to know its tests."""
    folder = PACKAGES["meshd"] / "wire" / "calls"
    return sorted({path.stem for path in folder.glob("*.py")} - {"__init__", "row"})


def test_the_table_has_no_flaw():
    assert list(flaws(CALLS)) == []


LIST = Call("key.list", "GET", "/v1/keys", Nothing, Nothing, "org", "List keys.")


@pytest.mark.parametrize(
    "planted",
    [
        [LIST, LIST],
        [LIST, Call("key.all", "GET", "/v1/keys", Nothing, Nothing, "org", "")],
        [Call("key.list", "GET", "/keys", Nothing, Nothing, "org", "")],
        [Call("key.show", "GET", "/v1/keys/{key}", Nothing, Nothing, "org", "")],
        [Call("key.list", "GET", "/v1/keys", Nothing, Nothing, "everybody", "")],
        [Call("daemon.stop", "POST", "/v1/stop", Nothing, Nothing, "instance", "")],
        [Call("db.backup", "POST", "/v1/backup", Nothing, Nothing, "instance", "")],
        [Call("key.list", "GET", "/v1/keys", Nothing, Nothing, "org", "", secret=True)],
    ],
)
def test_a_flaw_of_the_table_is_found(planted):
    assert len(list(flaws(planted))) >= 1


@pytest.mark.parametrize("noun", _nouns())
def test_every_row_is_gathered(noun):
    module = import_module(f"meshd.wire.calls.{noun}")
    assert set(module.CALLS) == set(_rows(noun).values())
    assert set(module.CALLS) <= set(CALLS)


def test_every_row_has_one_handler():
    """The keys of what `handlers` of each api module gives are the names of the table."""
    keys = [key for source in sources() for key in _handled(source)]
    assert sorted(keys) == sorted(call.name for call in CALLS)


def _handled(source: Source) -> Iterator[str]:
    if not source.name.startswith("meshd.api."):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef) and node.name == "handlers":
            for part in ast.walk(node):
                if isinstance(part, ast.Dict):
                    yield from (key.value for key in part.keys if isinstance(key, ast.Constant))


@pytest.mark.parametrize("noun", _nouns())
def test_every_row_has_a_command(noun):
    """Some module of the client names the row's constant."""
    used = {
        name for source in sources() if source.name.startswith("meshctl.") for name in source.used
    }
    wanted = {f"meshd.wire.calls.{noun}.{constant}" for constant in _rows(noun)}
    assert wanted - used == set()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_row_can_be_read_and_written(call):
    """Both sides decode these types, and the help shows the summary as a sentence."""
    for kind in (call.asks, call.answers):
        assert msgspec.json.Decoder(kind).type is kind
    assert call.summary[0].isupper()
    assert call.summary.endswith(".")


def test_every_error_is_a_kind():
    def below(kind: type[MeshError]) -> Iterator[type[MeshError]]:
        yield kind
        for one in kind.__subclasses__():
            yield from below(one)

    ours = [kind for kind in below(MeshError) if kind.__module__ == errors.__name__]
    assert sorted(KINDS) == sorted(kind.code for kind in ours), "a kind is missing or a code twice"
    for kind in ours:
        assert kind.exit_code in EXIT_CODES
        assert 400 <= kind.status < 600
        assert str(kind()), "a kind has a sentence for when nobody gives one"


def test_kinds_of_errors_live_in_one_module():
    strangers = [
        f"{source.name}.{node.name}"
        for source in sources()
        if source.name != errors.__name__
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
        and _bases(node) & {kind.__name__ for kind in KINDS.values()}
    ]
    assert strangers == []


def _bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).rpartition(".")[2] for base in node.bases}
