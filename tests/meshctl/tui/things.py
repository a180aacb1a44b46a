"""What the daemon would answer, at a fixed time."""

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 11, 23, 15, 0, 0, tzinfo=UTC)

STATUS: dict[str, Any] = {
    "daemon": {
        "state": "running", "version": "0.1.0", "pid": 4121, "uptime_s": 11545.0, "socket": "/s",
    },
    "url": "http://127.0.0.1:3000",
    "org": {"id": "org_0a1b2c3d4e5f6g7h", "name": "acme"},
    "connections": {"ready": 2, "failing": 1, "disabled": 1},
    "calls_today": 128,
    "problems": [],
}  # fmt: skip


def connection(name: str, state: str = "ready", **more: Any) -> dict[str, Any]:
    return {
        "id": f"conn_{name}", "name": name, "transport": "http",
        "url": f"https://{name}.example.com/mcp", "headers": [], "env": [], "bodies": "redacted",
        "state": state, "reason": None, "tools": 12, "tokens": 900, "destructive": 0,
        "seen_at": "2026-11-23T14:59:58Z", "created_at": "2026-11-11T09:30:00Z", **more,
    }  # fmt: skip


CONNECTIONS = [
    connection("github", tools=38),
    connection("postgres"),
    connection("slack", "failing", reason="401 from upstream", tools=None, seen_at=None),
    connection("stripe", "disabled", tools=21, seen_at="2026-11-20T15:00:00Z"),
]


def call(number: int, *, ago: float = 0.0, **more: Any) -> dict[str, Any]:
    """The call of that cursor, begun `ago` seconds before now."""
    at = (NOW - timedelta(seconds=ago)).isoformat()
    return {
        "id": f"call_{number}", "seq": number, "at": at, "connection": "github",
        "tool": "list_issues", "principal": "ci", "ok": True, "error": None,
        "duration_ms": 180.0, **more,
    }  # fmt: skip


CALLS = [
    call(1, ago=200),
    call(2, ago=95, connection="postgres", tool="query", duration_ms=22.4, principal="laptop"),
    call(3, ago=94, connection="slack", tool="post_message", ok=False, duration_ms=640.0,
         error="401 from upstream"),
    call(4, ago=12, tool="search_code", duration_ms=412.0),
    call(5, ago=2, duration_ms=171.0),
]  # fmt: skip

DETAIL = {
    **CALLS[2],
    "stages": {"receive": 0.1, "decide": 0.2, "upstream": 639.0, "answer": 0.7},
    "arguments": {"channel": "#ops"},
}


def event(number: int, kind: str, name: str, *, ago: float = 0.0) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"evt_{number}", "type": kind, "source": "/orgs/org_0a1b",
        "subject": f"conn_{name}", "time": (NOW - timedelta(seconds=ago)).isoformat(),
        "datacontenttype": "application/json", "data": {"name": name}, "meshseq": number,
    }  # fmt: skip


EVENTS = [
    event(1, "mesh.connection.added", "github", ago=900),
    event(2, "mesh.key.added", "github", ago=800),
    event(3, "mesh.connection.failing", "slack", ago=90),
]


def delivery(number: int, state: str, *, ago: float = 0.0, **more: Any) -> dict[str, Any]:
    at = (NOW - timedelta(seconds=ago)).isoformat()
    return {
        "id": f"dlv_{number}", "state": state, "event": f"order-{number}",
        "event_id": f"order-{number}", "type": "order.made",
        "source": "/keys/key_shop", "subscription": "to-erp", "subscription_id": "sub_erp",
        "attempt": 1, "replays": 0, "error": None, "next_at": None, "created_at": at,
        "ended_at": None, **more,
    }  # fmt: skip


DEAD = [
    delivery(4, "dead", ago=300, attempt=20, error="503 from hooks.example"),
    delivery(2, "dead", ago=4000, attempt=20, subscription="to-audit", error="no route to host"),
]
DELIVERIES = [
    delivery(6, "ready", ago=3, error="429 from upstream"),
    delivery(5, "done", ago=90),
    *DEAD,
]

SUBSCRIPTIONS = [
    {
        "id": f"sub_{name}", "name": f"to-{name}", "state": state, "held_back": held,
        "types": ["order.*"], "target": {"connection": name, "tool": "ON_EVENTS"}, "maker": "ci",
        "owner": "key_ci", "created_at": "2026-11-11T09:30:00Z",
    }
    for name, state, held in [
        ("erp", "active", False), ("audit", "active", True), ("crm", "paused", False),
    ]
]  # fmt: skip

STATS = {
    "states": {"ready": 1, "inflight": 0, "done": 3402, "dead": 2, "cancelled": 0},
    "oldest_waiting_s": 3.2, "under_way": 0, "leases_lost": 0,
    "subscriptions": {"active": 2, "paused": 1}, "held_back": ["to-audit"],
}  # fmt: skip
