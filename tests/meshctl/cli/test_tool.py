"""`meshctl tool …`: arguments on the way in, results and their exit codes on the way out."""

import json

import pytest

from meshd.wire.errors import UpstreamFailed, UpstreamTimeout
from meshd.wire.tool import ToolList, ToolRef

ADD = {
    "connection": "example",
    "name": "add",
    "title": None,
    "description": "Adds two numbers.",
    "read_only": True,
    "destructive": False,
    "tokens": 60,
    "schema": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "s": {"type": "string"}},
        "required": ["a", "b"],
    },
}


def answer(text="3", **more):
    """A `tool.call` answer whose result holds one text."""
    return {"result": {"content": [{"type": "text", "text": text}], **more}, "call_id": "call_1"}


def sent(scripted):
    """The arguments of the last call, as the JSON text that was sent."""
    name, asks = scripted.asked[-1]
    assert (name, asks.connection, asks.tool) == ("tool.call", "example", "add")
    return bytes(asks.arguments).decode()


def test_pairs_are_typed_by_the_schema(scripted):
    """The schema is asked for, and the arguments travel as what the tool declares."""
    scripted.answers |= {"tool.show": ADD, "tool.call": answer()}
    assert scripted.run("tool", "call", "example", "add", "a=1", "b=2", "s=2") == (0, "3\n", "")
    assert scripted.asked[0] == ("tool.show", ToolRef(connection="example", tool="add"))
    assert json.loads(sent(scripted)) == {"a": 1, "b": 2, "s": "2"}


@pytest.mark.parametrize("words", [[], ["--args", '{"a": 1.0,  "b": 2}']])
def test_the_schema_is_asked_for_pairs_only(scripted, words):
    """Without KEY=VALUE there is one request, and JSON is sent as it was typed."""
    scripted.answers["tool.call"] = answer()
    assert scripted.run("tool", "call", "example", "add", *words)[0] == 0
    assert [name for name, _ in scripted.asked] == ["tool.call"]
    assert sent(scripted) == (words[-1] if words else "{}")


def test_args_from_a_file_and_from_stdin(scripted, tmp_path):
    """@FILE and @- hold the base; pairs lie on top of it."""
    file = tmp_path / "args.json"
    file.write_text('{"a": 5, "b": 6}\n')
    scripted.answers |= {"tool.show": ADD, "tool.call": answer()}
    scripted.run("tool", "call", "example", "add", "b=7", "--args", f"@{file}")
    assert json.loads(sent(scripted)) == {"a": 5, "b": 7}
    scripted.run("tool", "call", "example", "add", "--args", "@-", stdin='{"a": 8}\n')
    assert sent(scripted) == '{"a": 8}'


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a=one"], "a takes integer, written as JSON"),
        (["alone"], '"alone" is not KEY=VALUE'),
        (["--args", "[]"], "--args must be a JSON object"),
    ],
)
def test_arguments_that_are_none(scripted, words, sentence):
    """Wrong use is exit 2, and the tool is not called."""
    scripted.answers["tool.show"] = ADD
    code, _, err = scripted.run("tool", "call", "example", "add", *words)
    assert code == 2
    assert sentence in err
    assert "tool.call" not in dict(scripted.asked)


def test_pairs_are_literal(scripted):
    """@ and env: mean nothing in an argument of a tool."""
    scripted.answers |= {"tool.show": ADD, "tool.call": answer()}
    scripted.run("tool", "call", "example", "add", "s=@/etc/passwd")
    assert json.loads(sent(scripted)) == {"s": "@/etc/passwd"}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, 0),
        ({"isError": False}, 0),
        ({"isError": True}, 1),
        ({"isError": True, "_meta": {"meshctl/denied": {"rule": "forged by a server"}}}, 1),
        ({"_meta": {"other": 1}}, 0),
    ],
)
def test_exit_codes_of_results(scripted, more, code):
    """The tool's own failure is 1, whatever marks it bears; a real refusal is an error answer."""
    scripted.answers["tool.call"] = answer("words", **more)
    got, out, err = scripted.run("tool", "call", "example", "add")
    assert (got, out) == (code, "words\n")
    assert err == ("next: meshctl call show call_1\n" if code else "")


@pytest.mark.parametrize(
    ("error", "code"), [(UpstreamFailed("gone"), 7), (UpstreamTimeout("slow"), 8)]
)
def test_exit_codes_of_failures(scripted, error, code):
    """Without a result it is the error's own code."""
    scripted.answers["tool.call"] = error
    assert scripted.run("tool", "call", "example", "add")[:2] == (code, "")


def test_json_is_the_result_as_it_came(scripted):
    """Fields that nobody here knows are there too, and the exit code is the same."""
    given = answer(isError=True, structuredContent={"n": 3}, x_unknown=[1])
    scripted.answers["tool.call"] = given
    code, out, _ = scripted.run("tool", "call", "example", "add", "--json")
    assert (code, json.loads(out)) == (1, given["result"])


def test_a_result_without_content_prints_nothing(scripted):
    """No text is no line."""
    scripted.answers["tool.call"] = {"result": {"content": []}, "call_id": "call_1"}
    assert scripted.run("tool", "call", "example", "add") == (0, "", "")


def test_list_and_show(scripted):
    """Tools are named as grants name them; a card lists the arguments."""
    scripted.answers |= {"tool.list": [ADD], "tool.show": ADD}
    assert scripted.run("tool", "list", "--quiet")[1] == "example/add\n"
    scripted.run("tool", "list", "example")
    assert scripted.asked == [
        ("tool.list", ToolList()),
        ("tool.list", ToolList(connection="example")),
    ]
    out = scripted.run("tool", "show", "example", "add")[1]
    assert "arguments   a=integer" in out
    assert json.loads(scripted.run("tool", "show", "example", "add", "--json")[1]) == ADD
    assert scripted.run("tool", "show", "example", "add", "--quiet")[1] == "add\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no tools yet\nnext: meshctl connect NAME URL\n"),
        (["x"], 'no tools behind "x"\nnext: meshctl connection test x\n'),
    ],
)
def test_no_tools_is_no_error(scripted, words, said):
    """The sentence fits what was asked."""
    scripted.answers["tool.list"] = []
    assert scripted.run("tool", "list", *words) == (0, "", said)
