"""The call table: one row a call, complete, unambiguous, and honest about what it needs."""

import re
from string import Formatter
from typing import get_args, get_type_hints

import msgspec
import pytest

from meshd.wire.calls import CALLS
from meshd.wire.calls.row import Call, Right

ROWS = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)


def test_names_and_places_are_unique() -> None:
    assert len({call.name for call in CALLS}) == len(CALLS)
    places = {(call.method, re.sub(r"\{\w+\}", "{}", call.path)) for call in CALLS}
    assert len(places) == len(CALLS)


def test_no_two_templates_match_one_path() -> None:
    """Else the order of the table would decide."""
    for one in CALLS:
        for other in CALLS:
            if one.name < other.name and one.method == other.method:
                parts = list(zip(one.path.split("/"), other.path.split("/"), strict=False))
                same_length = one.path.count("/") == other.path.count("/")
                alike = all(a == b or "{" in a + b for a, b in parts)
                assert not (same_length and alike), (one.name, other.name)


@ROWS
def test_a_row_is_complete(call: Call) -> None:
    """A right, a sentence, a path under /v1 whose fields the request has, types that exist."""
    assert re.fullmatch(r"[a-z]+(\.[a-z_]+)?", call.name)
    assert call.right in get_args(Right)
    assert re.fullmatch(r"[A-Z].*\.", call.summary)
    assert call.path.startswith("/v1/")
    fields = {name for _, name, _, _ in Formatter().parse(call.path) if name}
    assert fields <= set(call.asks.__struct_fields__)
    assert all(get_type_hints(call.asks)[name] is str for name in fields)
    for shape in (call.asks, call.answers):
        msgspec.inspect.type_info(shape)


@ROWS
def test_reading_calls_are_gets_and_streams_too(call: Call) -> None:
    """A read-only key may make a call exactly if its method is GET."""
    reads = call.name.rpartition(".")[2] in {
        "list", "show", "tail", "status", "whoami", "verify", "stats", "dead_list", "diff", "next",
        "read",
    }  # fmt: skip
    assert (call.method == "GET") == reads
    assert not call.streams or call.method == "GET"


@ROWS
def test_a_call_that_answers_with_a_secret_says_so(call: Call) -> None:
    answer = call.answers
    fields = set(getattr(answer, "__struct_fields__", ()))
    assert call.secret == bool(fields & {"key", "secret"})


@ROWS
def test_what_concerns_the_instance_needs_an_instance_admin(call: Call) -> None:
    ours = call.name.startswith(("daemon.", "db.", "vault.", "metrics."))
    ours = ours or call.name == "org.create" or call.name.endswith("_stdio")
    assert (call.right == "instance") == ours
    alone = call.name.startswith(("daemon.", "db.")) or call.name == "vault.unlock"
    assert call.socket_only == alone
