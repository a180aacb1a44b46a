"""Calls counted by how they went, and for how long."""

from dataclasses import replace

import pytest

from meshd.services import call_tally
from meshd.services.call_tally import BOUNDS_US, CallTally, cumulated
from meshd.services.record_rows import Stopwatch, Taken, ended

OK = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
DENIED = b'{"id":1,"result":{"isError":true,"content":[]}}'


def call(seconds: float = 0.001, **more: object) -> Taken:
    given = {
        "id": "call_a", "org": "org_a", "connection_id": "conn_a", "connection": "github", "bodies": "redacted",
        "tool": "add", "principal_id": "key_a", "principal": "laptop", "arguments": b"{}", "response": OK,
        "watch": Stopwatch(5, 1.0, 1.0, 1.0, 1.0 + seconds, 1.0 + seconds), "error": None, "client": None,
    }  # fmt: skip
    return Taken(**{**given, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, "ok"),
        ({"response": b'{"result":{"isError":true}}'}, "tool_error"),
        ({"response": b'{"error":{"message":"denied: by the server"}}'}, "refused"),
        ({"response": b'{"error":{}}', "error": "github refused the call"}, "refused"),
        ({"response": DENIED, "error": "denied: no grant"}, "denied"),
        ({"response": None, "error": "denied: no grant"}, "denied"),
        ({"response": DENIED, "error": "the tool failed"}, "tool_error"),
        ({"response": b'{"result":{"isError":true,"content":[{"type":"text","text":"denied: x"}]}}'}, "tool_error"),
        ({"response": None, "error": "cancelled by the client"}, "cancelled"),
        ({"response": None, "error": "the client went away"}, "cancelled"),
        ({"response": None, "error": '"github" cannot be reached'}, "failed"),
        ({"response": None}, "failed"),
    ],
    ids=str,
)  # fmt: skip
def test_how_a_call_went(more: dict[str, object], kind: str) -> None:
    """A server cannot pass for a denial by what it says."""
    assert ended(call(**more)).kind == kind


@pytest.mark.parametrize("index", range(len(BOUNDS_US)))
def test_a_bound_belongs_to_its_bucket_and_what_is_over_it_to_the_next(index: int) -> None:
    tally = CallTally()
    tally.count([ended(call(BOUNDS_US[index] / 1e6)), ended(call((BOUNDS_US[index] + 1) / 1e6))])
    buckets = tally.series["org_a", "conn_a"].buckets
    assert (buckets[index], buckets[index + 1], sum(buckets)) == (1, 1, 2)


def test_times_and_stages_add_up() -> None:
    tally = CallTally()
    tally.count([ended(call(0.25)), ended(call(0.5)), ended(call(0.5, connection_id="conn_b"))])
    assert tally.series["org_a", "conn_a"].total_us == 750_000
    assert tally.stages_us == {"receive": 0, "decide": 0, "upstream": 1_250_000, "answer": 0}


def test_a_dropped_record_is_counted_and_not_timed() -> None:
    tally = CallTally()
    tally.lose(call())
    series = tally.series["org_a", "conn_a"]
    assert (series.kinds["unread"], series.timed) == (1, 0)


def test_what_is_gone_is_forgotten_and_the_rest_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_tally, "MAX_SERIES", 3)
    tally, one = CallTally(), call()
    for number in range(5):
        tally.lose(replace(one, connection_id=f"conn_{number}"))
    assert [connection for _, connection in tally.series] == ["conn_2", "conn_3", "conn_4"]
    tally.keep({("org_a", "conn_3")})
    assert list(tally.series) == [("org_a", "conn_3")]


def test_buckets_as_prometheus_has_them() -> None:
    assert cumulated([1, 0, 2]) == [1, 1, 3]
