"""From a call as it was taken to a row: outcome, stages, bodies."""

import json

import pytest

from meshd.services.record_rows import KEEP, READ, Stopwatch, Taken, ended, kept, outcome


def taken(**more: object) -> Taken:
    given = {
        "id": "call_a", "org": "org_a", "connection_id": "conn_a", "connection": "github", "bodies": "redacted",
        "tool": "add", "principal_id": "key_a", "principal": "laptop", "watch": Stopwatch(5, 1.0, 1.1, 1.2, 1.5, 1.6),
        "arguments": b'{"a":1}', "response": b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}', "error": None,
        "client": "curl/8",
    }  # fmt: skip
    return Taken(**{**given, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("marks", "stages"),
    [
        ((1.0, 1.1, 1.2, 1.5, 1.6), (100_000, 100_000, 300_000, 100_000)),
        ((1.0, 1.1, 1.2, 0.0, 0.0), (100_000, 100_000, 0, 0)),
        ((1.0, 0.0, 0.0, 1.5, 1.5), (0, 0, 500_000, 0)),
        ((1.0, 1.0, 1.0, 1.0, 1.0), (0, 0, 0, 0)),
    ],
)
def test_stages_add_up_and_one_that_was_not_reached_took_none(marks, stages) -> None:
    watch = Stopwatch(0, *marks)
    assert watch.stages_us() == stages
    assert sum(stages) == round((max(marks) - marks[0]) * 1_000_000)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b'{"result":{"content":[]}}', None),
        (b'{"result":{"isError":false}}', None),
        (
            b'{"result":{"isError":true,"content":[{"type":"text","text":"no such file"}]}}',
            "no such file",
        ),
        (b'{"result":{"isError":true,"content":[{"type":"image","data":"x"}]}}', "tool error"),
        (b'{"result":{"isError":true}}', "tool error"),
        (b'{"error":{"code":-1,"message":"bad"}}', "bad"),
        (b'{"error":{"code":-1}}', "error"),
        (None, "no answer"),
        (b"", "the answer could not be read"),
        (b"<html>", "the answer could not be read"),
        (b'{"result":{"isError":true,"content":5}}', "the answer could not be read"),
        (
            b'{"result":{"isError":true,"content":[{"type":"text","text":"\xff"}]}}',
            "the answer could not be read",
        ),
        (b"[" * 99_999, "the answer could not be read"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_went_wrong(response: bytes | None, error: str | None) -> None:
    assert outcome(response)[0] == error


def test_a_row_of_a_call_that_went_well() -> None:
    row = ended(taken()).row
    assert (row["ok"], row["error"], row["cut"]) == (1, None, 0)
    assert (row["arguments"], row["result"]) == (b'{"a":1}', b'{"content":[]}')
    assert [row[f"{stage}_us"] for stage in ("receive", "decide", "upstream", "answer")] == [
        100_000, 100_000, 300_000, 100_000,
    ]  # fmt: skip


def test_a_known_error_wins_and_is_redacted_and_short() -> None:
    row = ended(taken(error="denied: Bearer hunter2hunter2 " + "x" * 100_000, response=None)).row
    assert (row["ok"], len(row["error"])) == (0, 500)
    assert "hunter2" not in row["error"]


def test_foreign_words_become_storable() -> None:
    """A header with raw bytes must not cost the batch that its record is in."""
    row = ended(taken(client="\udcff" * 200, error="\udcfe", tool="t" * 500)).row
    row["client"].encode()
    row["error"].encode()
    assert (len(row["client"]), len(row["tool"])) == (100, 200)
    assert ended(taken(client=None)).row["client"] is None


@pytest.mark.parametrize(
    ("mode", "body", "text", "cut"),
    [
        ("off", b'{"a":1}', None, False),
        ("redacted", b"", None, False),
        ("redacted", b'{"password":"x"}', b'{"password":"***"}', False),
        ("full", b'{"password":"x"}', b'{"password":"x"}', False),
        ("full", b'{"a":"\xff"}', '{"a":"\ufffd"}'.encode(), False),
        ("redacted", b"not json", b"null", False),
        ("full", b'"' + b"x" * READ + b'"', None, True),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_kept_of_a_body(mode: str, body: bytes, text: bytes | None, cut: bool) -> None:
    assert kept(body, mode) == (text, cut)


@pytest.mark.parametrize("mode", ["redacted", "full"])
@pytest.mark.parametrize("filling", ["x", "é", '"'])
def test_a_long_body_is_kept_as_a_text_of_its_beginning(mode: str, filling: str) -> None:
    body = json.dumps({"a": filling * KEEP}, ensure_ascii=False, separators=(",", ":")).encode()
    text, cut = kept(body, mode)
    assert cut
    assert text is not None
    beginning = json.loads(text)
    assert body.decode().startswith(beginning)
    assert KEEP - 4 < len(beginning.encode()) <= KEEP


def test_a_secret_does_not_survive_a_cut() -> None:
    """What is cut is what was redacted, not the other way round."""
    body = json.dumps({"pad": "x" * (KEEP - 40), "password": "hunter2" * 100}).encode()
    assert b"hunter2" not in (kept(body, "redacted")[0] or b"")
