"""What subscribers' answers mean, as tables."""

import pytest

from meshd.bus.retry import Outcome
from meshd.services.answered import events_answer, http_outcome

NOW = 1_795_435_200_000_000
SILENT = "the subscriber did not say success"


def structured(**said):
    return {"content": [], "structuredContent": said}


@pytest.mark.parametrize(
    ("result", "outcomes"),
    [
        (structured(success=True), [Outcome("delivered")] * 2),
        ({"content": []}, [Outcome("delivered")] * 2),
        ({"content": [{"type": "text", "text": '{"success": true}'}]}, [Outcome("delivered")] * 2),
        (structured(success=False, error="no"), [Outcome("failed", "no")] * 2),
        (structured(retryAfter=1500), [Outcome("deferred", SILENT, after=1.5)] * 2),
        (
            structured(results={"a": {"success": True}, "b": {"success": False, "error": "x"}}),
            [Outcome("delivered"), Outcome("failed", "x")],
        ),
        (structured(results={"a": {"success": True}}), [Outcome("delivered"), Outcome("failed", SILENT)]),
        (
            structured(success=True, results={"b": {"retryAfter": 2000, "error": "later"}}),
            [Outcome("delivered"), Outcome("deferred", "later", after=2.0)],
        ),
        (structured(retryAfter=10**12), [Outcome("deferred", SILENT, after=86400.0)] * 2),
        (structured(retryAfter=-1), [Outcome("failed", SILENT)] * 2),
        ({"isError": True, "content": [{"text": "broken"}]}, [Outcome("failed", "broken")] * 2),
        ([], [Outcome("failed", "the tool's result is no object")] * 2),
    ],
    ids=str,
)  # fmt: skip
def test_on_events(result, outcomes):
    """By the event's id, whatever the order; the batch's own word counts for the rest."""
    assert list(events_answer(result, ["a", "b"])) == outcomes


@pytest.mark.parametrize(
    ("status", "after", "outcome"),
    [
        (200, None, Outcome("delivered", status=200)),
        (204, "9", Outcome("delivered", status=204)),
        (302, None, Outcome("failed", "HTTP 302", 302)),
        (404, None, Outcome("failed", "HTTP 404", 404)),
        (410, None, Outcome("gone", "HTTP 410", 410)),
        (429, "90", Outcome("deferred", "HTTP 429", 429, 90.0)),
        (503, "Mon, 23 Nov 2026 12:01:00 GMT", Outcome("deferred", "HTTP 503", 503, 60.0)),
        (429, "soon", Outcome("failed", "HTTP 429", 429)),
        (429, None, Outcome("failed", "HTTP 429", 429)),
        (500, "90", Outcome("failed", "HTTP 500", 500)),
    ],
)
def test_webhooks(status, after, outcome):
    assert http_outcome(status, after, NOW) == outcome
