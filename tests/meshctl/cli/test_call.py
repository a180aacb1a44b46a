"""`meshctl call …` and `meshctl event tail`: records and events, listed and followed."""

import json

import pytest

from meshd.wire.call import RecordList, RecordRef, RecordTail
from meshd.wire.event import EventTail

CALL = {
    "id": "call_0a1b2c3d4e5f6g7h",
    "at": "2026-11-23T14:02:11Z",
    "connection": "github",
    "tool": "create_issue",
    "principal": "ci",
    "ok": True,
    "error": None,
    "duration_ms": 182.4,
    "seq": 7,
}
EVENT = {
    "specversion": "1.0",
    "id": "evt_0a1b2c3d4e5f6g7h",
    "type": "mesh.connection.failing",
    "source": "mesh",
    "subject": "slack",
    "time": "2026-11-23T14:02:11Z",
    "datacontenttype": "application/json",
    "data": {"reason": "401"},
    "meshseq": 12,
}


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        ([], RecordList(limit=50)),
        (
            ["--connection", "github", "--failed", "--limit", "3"],
            RecordList(connection="github", failed=True, limit=3),
        ),
    ],
)
def test_what_list_asks(scripted, words, asks):
    """Each option is one field of the query."""
    scripted.answers["call.list"] = [CALL]
    code, out, _ = scripted.run("call", "list", *words, "--json")
    assert (code, json.loads(out)) == (0, [CALL])
    assert scripted.asked == [("call.list", asks)]


@pytest.mark.parametrize(("words", "said"), [([], "no calls yet"), (["--failed"], "no such calls")])
def test_no_calls_is_no_error(scripted, words, said):
    """A sentence and the way to the first one, on stderr."""
    scripted.answers["call.list"] = []
    code, out, err = scripted.run("call", "list", *words)
    assert (code, out, err.splitlines()[0]) == (0, "", said)


def test_show(scripted):
    """A card with the stages; JSON is the record."""
    shown = {
        **CALL,
        "stages": {"receive": 0.2, "decide": 0.1, "upstream": 181.9, "answer": 0.2},
        "arguments": None,
        "result": None,
        "cut": False,
        "client": None,
    }
    scripted.answers["call.show"] = shown
    assert "upstream  182ms" in scripted.run("call", "show", CALL["id"])[1]
    assert json.loads(scripted.run("call", "show", CALL["id"], "--json")[1]) == shown
    assert scripted.asked[0] == ("call.show", RecordRef(CALL["id"]))


def test_call_tail(scripted):
    """One line a call, with the stream's own limits."""
    scripted.answers["call.tail"] = [CALL, {**CALL, "seq": 8, "id": "call_1"}]
    words = ["call", "tail", "--since", "1h", "--limit", "5", "--no-follow"]
    code, out, _ = scripted.run(*words)
    assert code == 0
    assert len(out.splitlines()) == 2
    assert [json.loads(line)["seq"] for line in scripted.run(*words, "--json")[1].splitlines()] == [
        7,
        8,
    ]
    assert scripted.asked[0] == ("call.tail", RecordTail(since="1h", limit=5, follow=False))


@pytest.mark.parametrize("words", [["event", "tail"], ["tail-events"]])
def test_event_tail(scripted, words):
    """The noun's verb and the short verb are one command; JSON is a CloudEvent a line."""
    scripted.answers["event.tail"] = [EVENT]
    options = ["--after", "11", "--limit", "1", "--no-follow", "--filter", "type=mesh.*"]
    code, out, _ = scripted.run(*words, *options, "--filter", "subject=slack")
    assert (code, len(out.splitlines())) == (0, 1)
    assert "mesh.connection.failing   slack" in out
    assert json.loads(scripted.run(*words, *options, "--json")[1]) == EVENT
    asks = EventTail(after=11, limit=1, follow=False, filter=["type=mesh.*", "subject=slack"])
    assert scripted.asked[0] == ("event.tail", asks)


def test_a_limit_of_nothing_is_wrong_use(scripted):
    """Zero rows is no question."""
    assert scripted.run("call", "list", "--limit", "0")[0] == 2
    assert scripted.run("event", "tail", "--limit", "-1")[0] == 2
