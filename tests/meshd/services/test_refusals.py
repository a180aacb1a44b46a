"""A refusal's command does what it says: run by an operator, it allows exactly that."""

import shlex

import pytest

from meshd.services.access import decide, decide_call
from meshd.services.directory import ConnectionRow
from meshd.services.grants import parse_grant
from meshd.services.refusals import denied, denied_call, no_grant
from meshd.wire.calls import CALLS
from tests.support.principals import key_principal

ROW = ConnectionRow(
    id="conn_a", org="org_a", name="github", transport="http", url="https://a", command=(), cwd=None, bodies="off",
    enabled=True, created_at=0, sealed=(), revision="r", state="ready", reason=None, seen_at=None,
)  # fmt: skip


def allowed(command: str) -> tuple[str, str]:
    """The grant that a printed command gives."""
    words = shlex.split(command)
    assert words[:4] == ["meshctl", "key", "edit", "laptop"]
    assert words[4] == "--allow"
    assert len(words) == 6
    return parse_grant(words[5], lambda name: {"github": "conn_a"}[name])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("tool", "add"), ("tool", "a b"), ("tool", "it's"), ("tool", "$(rm -rf ~)"), ("tool", "a/b"), ("tool", "x;y"),
     ("resource", "file:///tmp/a b"), ("prompt", "p"), ("other", "tasks/get"), ("tool", "naïve"),
     ("tool", "x" * 5000), ("tool", "\x1b[31mred"), ("prompt", "a\nb")],
)  # fmt: skip
def test_the_command_of_a_refusal_allows_it(kind: str, name: str) -> None:
    """Also when the name was chosen to run something else in a shell."""
    refused = decide(key_principal(), "conn_a", kind, name, reads_only=lambda: False)
    fix = denied(key_principal(), ROW, refused).next
    assert fix is not None
    target, grant = allowed(fix)
    assert decide(key_principal({target: [grant]}), "conn_a", kind, name, reads_only=lambda: False)


def test_the_command_for_a_read_only_key() -> None:
    who = key_principal({"*": ["*"]}, read_only=True)
    refused = decide(who, "conn_a", "tool", "write", reads_only=lambda: False)
    assert denied(who, ROW, refused).next == "meshctl key edit laptop --no-read-only"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("add", "github/add"),
        ("$(rm)", "'github/$(rm)'"),
        ("a\u200bb", "github"),
        ("x" * 5000, "github"),
    ],
)
def test_the_command_for_what_is_not_approved(name: str, command: str) -> None:
    """A grant comes first: who may not call it learns nothing of its approval."""
    who, no = key_principal({"*": ["*"]}), {"reads_only": lambda: True, "approved": lambda: False}
    refused = decide(who, "conn_a", "tool", name, **no)
    assert denied(who, ROW, refused).next == f"meshctl tool approve {command}"
    assert decide(key_principal(), "conn_a", "tool", name, **no).unapproved is None
    assert decide(who, "conn_a", "prompt", name, **no)


def test_no_grant_at_all() -> None:
    fix = no_grant(key_principal(), ROW).next
    assert fix is not None
    assert allowed(fix) == ("conn_a", "*")


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\nb", "x" * 5000])
def test_a_command_is_one_printable_line(name: str) -> None:
    refused = decide(key_principal(), "conn_a", "tool", name, reads_only=lambda: False)
    fix = denied(key_principal(), ROW, refused).next
    assert fix is not None
    assert fix.isprintable()
    assert len(fix) < 400


@pytest.mark.parametrize("call", [c for c in CALLS if c.right != "target"], ids=lambda c: c.name)
def test_the_command_of_a_refused_call_allows_it(call) -> None:
    refused = denied_call(key_principal(), call, decide_call(key_principal(), call))
    assert refused.next is not None
    target, grant = allowed(refused.next)
    assert decide_call(key_principal({target: [grant]}), call)
