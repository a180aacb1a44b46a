"""What every render module draws, plain and at a fixed time, against tests/screens/*.txt.

MESHCTL_UPDATE_SCREENS=1 rewrites the pictures.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meshctl.render import (
    child,
    client,
    connection,
    daemon,
    db,
    delivery,
    doctor,
    event,
    key,
    metrics,
    quickstart,
    record,
    schedule,
    status,
    subscription,
    tool,
    vault,
    virtual,
    webhook,
)
from meshctl.render.columns import plain
from meshctl.render.lines import aligned
from meshctl.render.look import Look

SCREENS = Path(__file__).parents[2] / "screens"
LOOK = Look(now=datetime(2026, 11, 23, 15, 0, 0, tzinfo=UTC))

GITHUB = {
    "id": "conn_8fk2m4p6q8r0s2t4",
    "name": "github",
    "transport": "http",
    "url": "https://api.example.com/mcp?…",
    "protocol": "2025-11-25",
    "headers": ["Authorization"],
    "env": [],
    "bodies": "redacted",
    "state": "ready",
    "reason": None,
    "tools": 38,
    "tokens": 5240,
    "destructive": 3,
    "seen_at": "2026-11-23T14:58:00Z",
    "created_at": "2026-11-11T09:30:00Z",
}
SLACK = {
    "id": "conn_a1b2c3d4e5f6g7h8",
    "name": "slack",
    "transport": "http",
    "url": "https://slack.example.com/mcp",
    "headers": [],
    "env": [],
    "bodies": "off",
    "state": "needs_login",
    "reason": "the server answered 401\x1b[2J\u202e",
    "tools": None,
    "tokens": None,
    "destructive": None,
    "seen_at": None,
    "created_at": "2026-11-23T14:59:59Z",
}
CLOCK = {
    "id": "conn_z9y8x7w6v5u4t3s2",
    "name": "clock",
    "transport": "stdio",
    "command": ["uvx", "mcp-server-time", "--local-timezone", "Europe/Tallinn or so"],
    "cwd": "/srv",
    "headers": [],
    "env": ["TZ"],
    "bodies": "full",
    "state": "disabled",
    "reason": None,
    "tools": 1,
    "tokens": 340,
    "destructive": 0,
    "seen_at": "2026-11-23T15:00:00Z",
    "created_at": "2026-11-23T11:48:00Z",
}
CI = {
    "id": "key_3m9x3m9x3m9x3m9x",
    "name": "ci",
    "prefix": "mesh_ab12",
    "last_four": "9x2k",
    "permissions": {"conn_8fk2m4p6q8r0s2t4": ["list_*"]},
    "grants": ["github/list_*", "slack", "clock", "self/status"],
    "role": None,
    "read_only": True,
    "owner": "owner",
    "created_at": "2026-11-23T14:58:00Z",
    "last_used_at": None,
    "expires_at": "2027-02-21T00:00:00Z",
}
LAPTOP = {
    **CI,
    "id": "key_a71ba71ba71ba71b",
    "name": "laptop",
    "grants": ["*"],
    "role": "admin",
    "read_only": False,
    "created_at": "2026-11-11T15:00:00Z",
    "last_used_at": "2026-11-23T14:00:00Z",
    "expires_at": "2026-11-23T14:59:00Z",
}
ISSUE = {
    "connection": "github",
    "name": "create_issue",
    "title": "Create an issue",
    "description": "Creates an issue.\n\nThe body is Markdown.\x1b]0;owned\x07",
    "read_only": False,
    "destructive": True,
    "tokens": 412,
    "schema": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "One line."},
            "labels": {"type": ["array", "null"]},
            "draft": {},
        },
        "required": ["title"],
    },
}
NOW = {
    "connection": "clock",
    "name": "現在時刻",
    "title": "Now",
    "description": "",
    "read_only": True,
    "destructive": False,
    "tokens": 28,
    "schema": {"type": "object"},
}
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
FAILED = {
    **CALL,
    "id": "call_7h6g5f4e3d2c1b0a",
    "at": "2026-11-22T23:59:59Z",
    "principal": "laptop",
    "ok": False,
    "error": "the MCP server did not answer in time",
    "duration_ms": 60012,
}
DETAIL = {
    **CALL,
    "stages": {"receive": 0.21, "decide": 0.04, "upstream": 181.9, "answer": 0.25},
    "arguments": {"title": "Ünïcode", "token": "***"},
    "result": {"content": [{"type": "text", "text": "done"}]},
    "cut": True,
    "client": "cursor 1.2",
}
EVENT = {
    "specversion": "1.0",
    "id": "evt_0a1b2c3d4e5f6g7h",
    "type": "mesh.connection.failing",
    "source": "mesh",
    "subject": "slack",
    "time": "2026-11-23T14:02:11Z",
    "data": {"reason": "401", "text": "x" * 300},
    "meshseq": 12,
}
STATUS = {
    "daemon": {
        "state": "running",
        "version": "0.1.0",
        "pid": 4121,
        "uptime_s": 11520.5,
        "socket": "/home/ann/.local/state/meshctl/meshd.sock",
    },
    "url": "http://127.0.0.1:3000",
    "org": {"id": "org_0a1b2c3d4e5f6g7h", "name": "default"},
    "connections": {"ready": 5, "failing": 1, "needs_login": 1, "disabled": 1, "unknown": 0},
    "calls_today": 128,
    "problems": [
        {"message": 'connection "slack" fails: 401', "next": "meshctl connection test slack"}
    ],
}
SHOWN = {
    "pid": 4121,
    "version": "0.1.0",
    "python": "3.13.1",
    "started_at": "2026-11-23T11:48:00Z",
    "socket": "/home/ann/.local/state/meshctl/meshd.sock",
    "url": "http://127.0.0.1:3000",
    "home": "/home/ann/.local/state/meshctl",
    "log": "/home/ann/.local/state/meshctl/logs/meshd.log",
    "rss_bytes": 61_234_567,
    "loop": "uvloop",
    "children": [
        {
            "connection": "clock",
            "state": "running",
            "pid": 4130,
            "pids": [4130, 4133],
            "age_s": 62.0,
            "rss_bytes": 50_561_024,
            "in_flight": 2,
            "restarts": 1,
            "last_exit": '"uvx" exited with code 1\x1b[2J',
        },
        {
            "connection": "files",
            "state": "resting",
            "pid": None,
            "pids": [],
            "age_s": None,
            "rss_bytes": None,
            "in_flight": 0,
            "restarts": 0,
            "last_exit": "stopped after 600 s without use",
        },
    ],
    "sessions_ended": 3,
    "records_written": 128,
    "records_dropped": 0,
    "settings": [
        {
            "name": "PORT",
            "value": "",
            "source": "default",
            "default": "3000, else the next free one",
        },
        {"name": "HOST", "value": "127.0.0.1", "source": "environment", "default": "127.0.0.1"},
        {"name": "BASE_URL", "value": "", "source": "default", "default": ""},
    ],
}
CHECKS = [
    {"check": "python", "state": "pass", "note": "3.13.1"},
    {"check": "user", "state": "weak", "note": "runs as root"},
    {
        "check": "daemon",
        "state": "fail",
        "note": "meshd is not running",
        "next": "meshctl daemon start",
    },
]
VISIT = {
    "url": "http://127.0.0.1:3000/mcp/example",
    "tools": ["add", "greet", "now"],
    "asked": "add a=2 b=3",
    "result": {"content": [{"type": "text", "text": "5\x1b[2J"}]},
    "record": DETAIL,
}
CLIENTS = [
    {
        "app": "cursor",
        "state": "installed",
        "servers": ["github", "clock"],
        "file": "/home/ann/.cursor/mcp.json",
        "problem": None,
    },
    {
        "app": "claude-desktop",
        "state": "unreadable",
        "servers": [],
        "file": "/home/ann/.config/Claude/claude_desktop_config.json",
        "problem": "it does not parse",
    },
    {
        "app": "vscode",
        "state": "absent",
        "servers": [],
        "file": "/home/ann/.config/Code/User/mcp.json",
        "problem": None,
    },
]
RESULT = {
    "content": [
        {"type": "text", "text": "first\n\tsecond\x1b[31m"},
        {"type": "image", "mimeType": "image/png", "data": "A" * 16384},
        {"type": "audio", "mimeType": "audio/wav", "data": "not base64"},
        {"type": "resource_link", "uri": "file:///a\nb", "mimeType": "text/plain"},
        {"type": "resource", "resource": {"uri": "file:///c", "text": "é" * 2000}},
        {"type": "resource", "resource": None},
        {"type": "hologram"},
        "not even an object",
    ],
    "structuredContent": {"unused": True},
}
VAULT = {
    "state": "open",
    "reason": None,
    "source": {"name": "file", "place": "/home/ann/keys/master.key", "passed_over": ["environment"]},
    "by_hand": True,
    "key_id": "0a1b2c3d4e5f6071",
    "needed": "0a1b2c3d4e5f6071",
    "format": "meshctl-master-key-1, AES-256-GCM",
    "orgs": [
        {
            "org": "org_0a1b2c3d4e5f6g7h",
            "name": "default",
            "data_keys": [
                {
                    "version": number, "state": state, "reason": None, "seals": seals,
                    "rotation_due": seals > 2**30, "created_at": "2026-11-11T15:00:00Z",
                }
                for number, state, seals in ((1, "broken", 2**30 + 1), (2, "open", 1000))
            ],
            "sealed": {"credentials": 12},
        },
    ],
    "problems": [],
}  # fmt: skip
LOCKED = {
    **VAULT, "state": "locked", "key_id": None, "by_hand": False,
    "reason": "The master key command op ended with exit code 3: run it by hand to see why.",
}  # fmt: skip
VERIFIED = {
    "counts": [
        {"org": "o", "name": "default", "table": "credentials", "opened": 11, "failed": 1},
        {"org": "o", "name": "default", "table": "data_keys", "opened": 2, "failed": 0},
    ],
    "failures": [
        {
            "org": "o", "table": "credentials", "row": "conn_8fk2m4p6q8r0s2t4",
            "field": "header:X-\x1b[2J", "reason": "The sealed value was altered.",
        },
    ],
}  # fmt: skip
NONE = {
    "waiting": 0, "ready": 0, "inflight": 0, "done": 0, "dead": 0, "cancelled": 0, "expired": 0,
}  # fmt: skip
EVENTS = [
    {
        "id": "order-17\x1b[2J",
        "type": "order.made",
        "source": "/keys/key_8fk2m4p6q8r0s2t4",
        "subject": "eu-17",
        "time": "2026-11-23T14:58:00Z",
        "meshseq": 7,
        "meshid": "evt_8fk2m4",
        "state": "dead",
        "deliveries": {**NONE, "done": 2, "dead": 1},
    },
    {
        "id": "evt_a1b2",
        "type": "mesh.key.added",
        "source": "/orgs/org_0a1b2c3d4e5f6g7h",
        "subject": None,
        "time": "2026-11-23T13:00:00Z",
        "meshseq": 6,
        "meshid": "evt_a1b2",
        "state": "done",
        "deliveries": NONE,
    },
]
STATS = {
    "states": {**NONE, "waiting": 3, "ready": 1, "inflight": 1, "done": 2100, "dead": 2},
    "oldest_waiting_s": 61.7, "under_way": 1, "leases_lost": 0,
    "subscriptions": {"active": 3, "paused": 1}, "held_back": ["hook"],
}  # fmt: skip
HOOK = {
    "id": "sub_8fk2m4p6q8r0s2t4", "name": "hook", "state": "active", "reason": None,
    "types": ["order.*", "ship.*"], "publisher": "/keys/key_8fk2m4p6q8r0s2t4",
    "filter": [{"prefix": {"subject": "eu-\u202e"}}],
    "target": {"webhook": "https://hooks.example/in?…"}, "maker": "shop", "owner": "usr_ada",
    "held_back": True, "created_at": "2026-11-11T09:30:00Z",
}  # fmt: skip
BILLS = {
    **HOOK, "id": "sub_a1b2", "name": "bills", "state": "paused", "reason": "by ada", "filter": None,
    "publisher": None, "types": ["order.made"], "held_back": False,
    "target": {"connection": "erp", "tool": "bill", "arguments": {"no": "{{ event.data.no }}"}},
}  # fmt: skip
DEAD = {
    "id": "dlv_8fk2m4p6q8r0s2t4", "state": "dead", "event_id": "order-17", "type": "order.made",
    "source": "/shop", "subscription": "hook", "subscription_id": "sub_8fk2m4p6q8r0s2t4",
    "attempt": 20, "replays": 1, "error": "HTTP 500\x07", "next_at": None,
    "created_at": "2026-11-23T02:00:00Z", "ended_at": "2026-11-23T14:00:00Z",
    "attempts": [
        {
            "fence": n, "attempt": n, "outcome": "failed", "status": 500, "error": "HTTP 500",
            "started_at": "2026-11-23T14:00:00Z", "duration_ms": 12.4, "daemon": "run_1",
        }
        for n in (19, 20)
    ],
}  # fmt: skip
WAITS = {**DEAD, "state": "waiting", "error": None, "next_at": "2026-11-23T15:01:00Z"}
WORK = {
    "id": "vir_8fk2m4p6q8r0s2t4", "name": "work", "description": "What I work with.\x1b[2J",
    "instructions": "Ask first.\nThen act.", "mode": "smart_tool_selection", "naming": "prefixed",
    "enabled": True, "tools": 12, "maker": "ada", "owner": "usr_1",
    "created_at": "2026-11-21T15:00:00Z",
    "children": [
        {
            "id": GITHUB["id"], "name": "github", "kind": "connection", "tools": ["create_*", "get_*"],
            "resources": [], "prompts": None,
            "overrides": {
                "create_issue": {
                    "name": "file_bug", "description": "Files a bug.\u202e", "hidden": ["labels"],
                    "pinned": {"repo": "acme/site", "draft": False},
                }
            },
        },
        {
            "id": "vir_a1b2c3d4e5f6g7h8", "name": "docs", "kind": "virtual", "tools": None,
            "resources": None, "prompts": None, "overrides": {},
        },
    ],
}  # fmt: skip
BARE = {
    **WORK, "name": "bare", "description": "", "instructions": None, "mode": "passthrough",
    "enabled": False, "tools": 0, "children": [],
}  # fmt: skip
NIGHTLY = {
    "id": "sch_8fk2m4p6q8r0s2t4", "name": "nightly", "state": "active", "type": "report.due",
    "subject": "eu\x07", "cron": "30 2 * * *", "tz": "Europe/Berlin", "misfire": "once",
    "overlap": "queue", "next_at": "2026-11-24T01:30:00Z", "waits": False, "maker": "shop",
    "owner": "usr_ada", "created_at": "2026-11-11T09:30:00Z", "data": {"no": "\u202e17"},
    "fires": [
        {"slot": "2026-11-23T01:30:00Z", "at": "2026-11-23T01:30:00Z", "outcome": "fired",
         "missed": 3, "event": "evt_8fk2m4p6q8r0s2t4"},
        {"slot": "2026-11-22T01:30:00Z", "at": "2026-11-23T01:30:00Z", "outcome": "overlap",
         "missed": 0, "event": None},
    ],
}  # fmt: skip
HELD = {**NIGHTLY, "name": "held", "waits": True, "id": "sch_a1b2"}
RESTS = {
    **NIGHTLY, "name": "rests", "state": "paused", "reason": "by ada", "next_at": None, "fires": [],
    "subject": None, "data": None,
}  # fmt: skip
PUSHES = {
    "id": "hook_8fk2m4p6q8r0s2t4", "name": "github", "state": "active", "reason": None,
    "signature": "github", "type": None, "source": "webhook:github", "maker": "shop",
    "url": "https://mesh.example/hooks/hook_8fk2m4p6q8r0s2t4", "owner": "usr_ada",
    "old_secret_until": "2026-11-24T09:30:00Z", "created_at": "2026-11-11T09:30:00Z",
}  # fmt: skip
CHATS = {
    **PUSHES, "name": "slack", "signature": "slack", "state": "paused", "type": "chat.said",
    "reason": "the key shop was revoked or has expired", "old_secret_until": None,
}  # fmt: skip
RUNNING = {**CLOCK, "state": "ready", "idle_s": 600, "child": SHOWN["children"][0]}

TABLES = [{"table": "calls", "rows": 120_345}, {"table": "keys", "rows": 2}]
DATABASE = {
    "engine": "postgres",
    "where": "postgres://mesh:***@db.example/mesh\x1b[2J",
    "exists": True,
    "size_bytes": 123_456_789,
    "installation": "mesh_8fk2m4p6q8r0s2t4",
    "flaw": None,
    "applied": [{"migration": "0200_foundation", "at": "2026-11-20T14:58:00Z"}],
    "pending": ["0300_idle", "0310_editions"],
    "tables": TABLES,
    "sealed_with": ["bc0dfcd491d104c4"],
    "key_here": None,
    "last_backup": {"file": "/b/mesh.backup", "at": "2026-11-22T15:00:00Z", "bytes": 1},
}
BACKUP = {
    "file": "/b/mesh.backup",
    "at": "2026-11-23T14:59:00Z",
    "bytes": 34_567,
    "engine": "postgres",
    "sealed_with": ["bc0dfcd491d104c4"],
    "tables": [*TABLES, {"table": "events", "rows": 0}],
}
RESTORED = {
    "where": "file:/h/data/mesh.db",
    "key_here": "bc0dfcd491d104c4",
    "kept": "/h/data/before-restore-20261123T150000",
    "pending": ["0310_editions"],
}
MOVED = {
    "source": "file:/h/data/mesh.db",
    "target": "postgres://mesh:***@db.example/mesh",
    "seconds": 8.06,
    "tables": [
        {
            "table": "calls", "rows": 120_345, "rows_there": 120_345, "checksum": "0f" * 32,
            "checksum_there": "0f" * 32, "replaced_nul": 3,
        },
        {
            "table": "keys", "rows": 2, "rows_there": 2, "checksum": "a1" * 32,
            "checksum_there": "a1" * 32, "replaced_nul": 0,
        },
    ],
}  # fmt: skip


METRICS = [
    {
        "name": "meshd_calls_total",
        "samples": [
            {"name": "meshd_calls_total", "value": 17.0,
             "labels": {"org": "default", "connection": "github", "outcome": "ok"}},
        ],
    },
    {
        "name": "meshd_call_duration_seconds",
        "samples": [
            {"name": "meshd_call_duration_seconds_bucket", "value": 3.0, "labels": {"le": "0.1"}},
            {"name": "meshd_call_duration_seconds_sum", "value": 0.25, "labels": {}},
        ],
    },
]  # fmt: skip


def screens() -> dict[str, list[str]]:
    """Every picture by its name, as lines."""
    return {
        "connection-list": plain(connection.table(LOOK), [GITHUB, SLACK, CLOCK]),
        "connection-show": aligned(connection.card(GITHUB, LOOK)),
        "connection-show-stdio": aligned(connection.card(CLOCK, LOOK)),
        "connection-show-running": aligned(connection.card(RUNNING, LOOK)),
        "connection-show-resting": aligned(
            connection.card({**RUNNING, "child": SHOWN["children"][1]}, LOOK)
        ),
        "connection-added": connection.added(GITHUB, LOOK),
        "connection-added-failing": connection.added(SLACK, LOOK),
        "connection-test": connection.tested(
            {
                "connection": GITHUB,
                "duration_ms": 41.23,
                "server": "GitHub MCP 1.0",
                "protocol": "2025-11-25",
            },
            LOOK,
        ),
        "key-list": plain(key.table(LOOK), [CI, LAPTOP]),
        "key-show": aligned(key.card(CI, LOOK)),
        "key-issued": key.issued(CI, LOOK) + key.issued(LAPTOP, LOOK),
        "tool-list": plain(tool.table(LOOK), [ISSUE, NOW]),
        "tool-show": aligned(tool.card(ISSUE, LOOK)),
        "tool-show-bare": aligned(tool.card(NOW, LOOK)),
        "tool-call": tool.content(RESULT),
        "call-list": plain(record.table(LOOK), [CALL, FAILED]),
        "call-tail": [record.line(item, LOOK) for item in (FAILED, CALL)],
        "call-show": aligned(record.card(DETAIL, LOOK)),
        "call-show-bare": aligned(
            record.card({**FAILED, "stages": DETAIL["stages"], "cut": False}, LOOK)
        ),
        "event-tail": [event.line(item, LOOK) for item in (EVENT, {**EVENT, "data": None})],
        "event-list": plain(event.table(LOOK), EVENTS),
        "event-show": aligned(event.card({**EVENT, "own": "x"}, LOOK)),
        "event-stats": aligned(event.stats(STATS)),
        "event-published": [
            event.published({**EVENTS[0], "duplicate": again}) for again in (False, True)
        ],
        "subscription-list": plain(subscription.table(LOOK), [HOOK, BILLS]),
        "subscription-show": aligned(subscription.card(HOOK, LOOK)),
        "subscription-show-paused": aligned(subscription.card(BILLS, LOOK)),
        "virtual-list": plain(virtual.table(LOOK), [WORK, BARE]),
        "virtual-show": aligned(virtual.card(WORK, LOOK)),
        "virtual-show-tokens": aligned(
            virtual.card(
                {
                    **BARE,
                    "sizes": {
                        "passthrough": {"tools": 128, "bytes": 86_912, "tokens": 21_742},
                        "smart_tool_selection": {"tools": 3, "bytes": 900, "tokens": 226},
                    },
                },
                LOOK,
            )
        ),
        "virtual-show-bare": aligned(virtual.card(BARE, LOOK)),
        "virtual-made": [virtual.made(WORK), virtual.made(BARE), virtual.detached(WORK, "jira")],
        "subscription-made": [subscription.made(HOOK), subscription.made(BILLS)],
        "event-scheduled": [
            event.scheduled({**EVENTS[0], "duplicate": again}) for again in (False, True)
        ],
        "schedule-list": plain(schedule.table(LOOK), [NIGHTLY, HELD, RESTS]),
        "schedule-show": aligned(schedule.card(NIGHTLY, LOOK)),
        "schedule-show-paused": aligned(schedule.card(RESTS, LOOK)),
        "schedule-made": [schedule.made(NIGHTLY, LOOK)],
        "webhook-list": plain(webhook.table(LOOK), [PUSHES, CHATS]),
        "webhook-show": aligned(webhook.card(PUSHES, LOOK)),
        "webhook-show-paused": aligned(webhook.card(CHATS, LOOK)),
        "webhook-made": [webhook.made(PUSHES)],
        "delivery-list": plain(delivery.table(LOOK), [DEAD, WAITS]),
        "delivery-show": aligned(delivery.card(DEAD, LOOK)),
        "status": status.lines(STATUS, LOOK),
        "daemon-show": aligned(daemon.card(SHOWN, LOOK)),
        "daemon-children": plain(child.table(), SHOWN["children"]),
        "db-status": [*aligned(db.card(DATABASE, LOOK)), "", *plain(db.tables(), TABLES)],
        "db-status-empty": aligned(db.card({**DATABASE, "exists": False}, LOOK)),
        "db-migrate": db.migrated({"where": "file:/h/x.db", "applied": DATABASE["pending"]}),
        "db-migrate-nothing": db.migrated({"where": "file:/h/x.db", "applied": []}),
        "db-backup": aligned(db.backed_up(BACKUP, LOOK)),
        "db-restore": aligned(db.restored({**BACKUP, **RESTORED}, LOOK)),
        "db-move": [*plain(db.moved(), MOVED["tables"]), *db.proved(MOVED)],
        "quickstart": aligned(quickstart.card(VISIT)),
        "client-list": plain(client.table(LOOK), CLIENTS),
        "metrics": plain(metrics.table(), metrics.samples(METRICS)),
        "vault-status": aligned(vault.card(VAULT)) + plain(vault.table(LOOK), vault.keys(VAULT)),
        "vault-locked": aligned(vault.card(LOCKED)),
        "vault-verify": plain(vault.counts(), VERIFIED["counts"])
        + plain(vault.failures(), VERIFIED["failures"]),
        "doctor": doctor.lines(CHECKS, LOOK),
    }


@pytest.mark.parametrize("name", screens())
def test_screen_is_as_pictured(name):
    """Text, columns, units and words stay as the golden file has them."""
    text = "\n".join(screens()[name]) + "\n"
    golden = SCREENS / f"{name}.txt"
    if os.environ.get("MESHCTL_UPDATE_SCREENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_no_screen_lets_a_hidden_character_through():
    """The fixtures hold escapes, bells and overrides; none of them reaches a terminal."""
    for lines in screens().values():
        for line in lines:
            assert not set(line) & set("\x1b\x07\r\n\u202e"), line


@pytest.mark.parametrize(("ago", "shown"), [(0.3, []), (8.7, [("counted", "9 s ago")])])
def test_counts_say_how_old_they_are(ago: float, shown: list[tuple[str, str]]) -> None:
    pairs = event.stats({**STATS, "counted_s_ago": ago})
    assert [pair for pair in pairs if pair[0] == "counted"] == shown
