"""What the bus looks for does not cost more beside what an org has kept: in SQLite's own steps."""

import json
import sqlite3
from typing import Any

import pytest

from tests.support import simulation
from tests.support.simulation import ORG, QUERIES

BATCH = 20
IDS = json.dumps([f"dlv_{number}" for number in range(BATCH)])
ENDED = json.dumps([
    {"id": f"dlv_{number}", "fence": 0, "state": "done", "attempt": 1, "started_at": 1,
     "duration_us": 1, "outcome": "delivered", "ended_at": 1}
    for number in range(BATCH)
])  # fmt: skip
GIVEN: dict[str, dict[str, Any]] = {
    "delivery.due": {},
    "delivery.claim": {
        "subscription": "sub_0", "now": 10, "until": 20, "lease_owner": "run", "limit": BATCH,
        "window": BATCH,
    },
    "delivery.line_up": {"subscription": "sub_0", "now": 10, "window": BATCH},
    "delivery.revive": {"event_seq": 1, "ended": 1, "now": 10},
    "delivery.revive_dead": {"id": "dlv_1", "now": 10},
    "delivery.revive_all": {"subscription": None, "now": 10},
    "delivery.drop_dead": {"id": "dlv_1", "now": 10},
    "delivery.drop_all": {"subscription": None, "now": 10},
    "delivery.held": {"ids": IDS},
    "delivery.end": {"ended": ENDED},
    "delivery.attempted": {"ended": ENDED, "daemon": "run"},
    "delivery.ack": {"event_seq": 1, "subscriptions": '["sub_0"]', "now": 1},
    "delivery.cancel": {"event_seq": 1, "now": 1},
    "delivery.hurry": {"event_seq": 1, "now": 1},
    "delivery.counts_of": {"seqs": "[1, 2]", "now": 1},
    "delivery.list_of": {
        "event_seq": 1, "state": None, "expired": None, "later": None, "subscription": None,
        "limit": 5, "now": 1,
    },
    "delivery.list_dead": {"expired": None, "subscription": None, "limit": 5},
    "event.after": {"after": 1, "limit": 5},
    "delivery.edge": {"before": 1 << 60, "slice": BATCH},
    "delivery.list": {
        "state": "dead", "expired": None, "later": None, "subscription": None, "since": 100,
        "before": 200, "limit": 5, "now": 1,
    },
    "event.edge": {"before": 1 << 60, "slice": BATCH},
    "event.list": {"type": "rare", "source": None, "since": 100, "before": 200, "limit": 5},
    "event.find": {"event": "evt_1"},
    "event.before_time": {"time": 1},
    "event.last": {},
    "event.some": {"seqs": json.dumps(list(range(1, BATCH + 1)))},
}  # fmt: skip
COUNTING: dict[str, dict[str, Any]] = {"delivery.counts": {"now": 1}}


def steps(query: str, kept: int) -> int:
    """How many a query takes beside so many deliveries that are done."""
    link = sqlite3.connect(":memory:", isolation_level=None)
    simulation._template().backup(link)
    for number in range(BATCH + kept):
        waits = number < BATCH
        link.execute(
            "INSERT INTO events (org_id, id, type, source, time, data) VALUES (?, ?, 't', '/', ?, '')",
            (ORG, f"evt_{number}", int(number > BATCH + kept - 5)),
        )
        link.execute(
            "INSERT INTO deliveries (id, org_id, event_seq, subscription_id, subscription, state,"
            " available_at, created_at) VALUES (?, ?, ?, 'sub_0', 's', ?, ?, ?)",
            (
                f"dlv_{number}",
                ORG,
                number + 1,
                *(("inflight", 1) if waits else ("done", None)),
                number,
            ),
        )
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    found = QUERIES.query(query)
    link.set_progress_handler(step, 1)
    link.execute(found.sql, found.bind({"org_id": ORG, **(GIVEN | COUNTING)[query]})).fetchall()
    link.close()
    return count


@pytest.mark.parametrize("query", GIVEN)
def test_what_is_done_is_not_looked_at(query: str) -> None:
    few, many = steps(query, 200), steps(query, 2000)
    assert many < few * 1.1


def test_what_is_done_is_counted_in_an_index_alone() -> None:
    """Which is a few steps for each, and never its row."""
    few, many = steps("delivery.counts", 200), steps("delivery.counts", 2000)
    assert (many - few) / 1800 <= 3
