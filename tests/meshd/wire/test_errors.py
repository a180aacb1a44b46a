"""Errors: one table of codes, statuses and exit codes, and a body that crosses the socket."""

import pytest

from meshd.wire import errors
from meshd.wire.errors import EXIT_CODES, KINDS, MeshError, from_body


def every_kind() -> list[type[MeshError]]:
    found = [MeshError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", every_kind())
def test_a_kind_is_in_the_table_and_complete(kind: type[MeshError]) -> None:
    """A code of its own, a real status, an exit code that is explained, and a sentence."""
    assert KINDS[kind.code] is kind
    assert 400 <= kind.status < 600
    assert kind.exit_code in EXIT_CODES
    assert kind().message.endswith(kind().message.rstrip("."))
    assert kind().message


@pytest.mark.parametrize("kind", every_kind())
def test_an_error_comes_back_as_it_was_sent(kind: type[MeshError]) -> None:
    sent = kind("it broke", next="meshctl status", facts={"why": "rust"})
    back = from_body(sent.body(), sent.status)
    assert type(back) is kind
    assert (back.message, back.next, back.facts) == ("it broke", "meshctl status", {"why": "rust"})


@pytest.mark.parametrize(
    "body",
    [None, [], "text", {}, {"error": None}, {"error": "x"}, {"error": {}}, {"error": {"code": 5}}],
)
def test_a_foreign_body_becomes_a_plain_error(body: object) -> None:
    back = from_body(body, 502)
    assert type(back) is MeshError
    assert back.message


def test_the_body_says_no_more_than_is_known() -> None:
    """An error without facts and next step sends neither."""
    assert MeshError("x").body() == {"error": {"code": "failed", "message": "x"}}
