"""`meshctl virtual …`: what is asked for each option, and what is refused before asking."""

import json

import pytest
from msgspec import UNSET, Raw

from meshd.wire.virtual import (
    ToolOverrideEdit,
    VirtualAttach,
    VirtualCreate,
    VirtualEdit,
    VirtualShow,
)

WORK = {
    "id": "vir_3m9x3m9x3m9x3m9x",
    "name": "work",
    "description": "",
    "instructions": None,
    "mode": "passthrough",
    "naming": "prefixed",
    "enabled": True,
    "tools": 2,
    "maker": "ada",
    "owner": "usr_1",
    "created_at": "2026-11-23T14:58:00Z",
    "children": [
        {
            "id": "conn_1", "name": "github", "kind": "connection", "tools": None,
            "resources": None, "prompts": None, "overrides": {},
        }
    ],
}  # fmt: skip


def asked(scripted, *words, answer=WORK):
    """What one command line asks the daemon."""
    scripted.answers |= {f"virtual.{words[0]}": answer}
    code, _, err = scripted.run("virtual", *words)
    assert code == 0, err
    return scripted.asked[-1][1]


def test_a_list_is_a_bare_array_and_an_empty_one_says_what_comes_next(scripted):
    scripted.answers |= {"virtual.list": [WORK]}
    assert json.loads(scripted.run("virtual", "list", "--json")[1]) == [WORK]
    scripted.answers |= {"virtual.list": []}
    assert json.loads(scripted.run("virtual", "list", "--json")[1]) == []
    assert "meshctl virtual create" in scripted.run("virtual", "list")[2]


def test_its_lists_are_measured_only_where_that_is_asked_for(scripted):
    assert asked(scripted, "show", "work") == VirtualShow("work")
    size = {"tools": 128, "bytes": 86_912, "tokens": 21_742}
    answer = {**WORK, "sizes": {"passthrough": size}}
    assert asked(scripted, "show", "work", "--tokens", answer=answer) == VirtualShow("work", True)
    assert "128 tools, 85 KiB, ~21.7k tokens" in scripted.run("virtual", "show", "work")[1]


def test_a_new_one_with_its_children(scripted, tmp_path):
    text = tmp_path / "how"
    text.write_text("Ask first.\n")
    words = ["create", "work", "github", "docs", "--instructions", f"@{text}"]
    words += ["--mode", "smart_tool_selection", "--naming", "plain", "--description", "Work."]
    assert asked(scripted, *words) == VirtualCreate(
        name="work", children=["github", "docs"], instructions="Ask first.", naming="plain",
        mode="smart_tool_selection", description="Work.",
    )  # fmt: skip
    assert asked(scripted, "create", "work") == VirtualCreate(name="work")


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        (["--name", "play"], {"name": "play"}),
        (["--instructions", ""], {"instructions": ""}),
        (
            ["--mode", "passthrough", "--naming", "plain"],
            {"mode": "passthrough", "naming": "plain"},
        ),
    ],
)
def test_an_edit_asks_for_what_is_said_alone(scripted, options, asks):
    assert asked(scripted, "edit", "work", *options) == VirtualEdit(virtual="work", **asks)


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        ([], {}),
        (["--tools", "a*", "--tools", "b", "--no-prompts"], {"tools": ["a*", "b"], "prompts": []}),
        (["--no-tools", "--no-resources"], {"tools": [], "resources": []}),
        (["--resources", "file:*", "--prompts", "p"], {"resources": ["file:*"], "prompts": ["p"]}),
        (["--reset", "t"], {"overrides": {"t": None}}),
        (
            ["--rename", "t=new", "--rename", "u=", "--describe", "t=a=b", "--hide", "t.x",
             "--hide", "t.y", "--hide", "a.b.z", "--pin", 't.p="v=w"', "--pin", "t.q=[1]"],
            {"overrides": {
                "t": ToolOverrideEdit(
                    name="new", description="a=b", hidden=["x", "y"],
                    pinned={"p": Raw(b'"v=w"'), "q": Raw(b"[1]")},
                ),
                "u": ToolOverrideEdit(name=None),
                "a.b": ToolOverrideEdit(hidden=["z"]),
            }},
        ),
    ],
)  # fmt: skip
def test_what_attaching_asks(scripted, options, asks):
    found = asked(scripted, "attach", "work", "github", *options)
    assert found == VirtualAttach(virtual="work", child="github", **asks)
    assert asks or (found.tools, found.overrides) == (UNSET, {})


def test_a_value_may_stand_elsewhere(scripted, tmp_path):
    text = tmp_path / "value"
    text.write_text('{"deep": [1]}\n')
    found = asked(scripted, "attach", "work", "github", "--pin", f"t.p=@{text}")
    assert found.overrides["t"].pinned == {"p": Raw(b'{"deep": [1]}')}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["edit", "work"], "nothing to change"),
        (["attach", "w", "c", "--tools", "a", "--no-tools"], "do not go together"),
        (["attach", "w", "c", "--rename", "tool"], "--rename takes NAME=VALUE"),
        (["attach", "w", "c", "--hide", "tool"], "--hide takes TOOL.ARGUMENT"),
        (["attach", "w", "c", "--pin", "t.a"], "--pin takes NAME=VALUE"),
        (["attach", "w", "c", "--pin", "t.a=acme/site"], "is not JSON"),
        (["attach", "w", "c", "--pin", "t.a=NaN"], "is not JSON"),
        (["attach", "w", "c", "--reset", "t", "--rename", "t=u"], "without another option"),
        (["create", "w", "--mode", "other"], "other"),
        (["remove", "w"], "no terminal to ask on"),
    ],
)
def test_what_is_refused_before_anything_is_asked(scripted, words, says):
    code, out, err = scripted.run("virtual", *words)
    assert (code, out) == (2, "")
    assert says in err
    assert scripted.asked == []
