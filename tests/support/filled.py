"""A home on SQLite with rows in every table: every type, empty and large values, odd letters."""

import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from meshd.core.config import Config, read_config
from meshd.store.opening import open_databases

KEY_ID = "0102030405060708"
"""The master key that the data keys say they are wrapped under. Nobody has it."""
ODD = ["", "é ü ß 漢字 🙂", "'quoted' \"twice\" \\ \n\t", "\u200e\ufeff\ufffd", "x" * 10_000]
MOMENT = 1_764_000_000_000_000
NUL = "before\0after"


def config(home: Path, url: str = "") -> Config:
    """The settings of a home."""
    return read_config({"MESHCTL_HOME": str(home), "DATABASE_URL": url})


async def fill(home: Path, records: int, *, with_nul: int = 0) -> Config:
    """Make the databases of a home, with so many call records and half as many events.

    `with_nul` of the records have text with U+0000.
    """
    made = config(home)
    async with open_databases(made) as databases:
        await databases.migrate()
    with closing(sqlite3.connect(home / "data" / "mesh.db")) as main, main:
        _main(main, records // 2)
    with closing(sqlite3.connect(home / "data" / "calls.db")) as calls, calls:
        _put(calls, "calls", (_record(number, number < with_nul) for number in range(records)))
        # The last number given is above the last that is there.
        calls.execute("UPDATE sqlite_sequence SET seq = seq + 1000 WHERE name = 'calls'")
    return made


def _main(main: sqlite3.Connection, events: int) -> None:
    wrapped = b"\x01\x01" + bytes.fromhex(KEY_ID) + os.urandom(120)
    _put(main, "meta", [{"name": "installation", "value": "mesh_filled"}])
    _put(main, "revisions", [{"topic": "keys", "n": 2**62}])
    _put(main, "orgs", [{"id": f"org_{n}", "name": f"org {n}", "created_at": n} for n in range(3)])
    _put(main, "users", [{"id": "usr_1", "name": "you", "created_at": -1}])
    _put(
        main, "data_keys",
        [{"org_id": "org_0", "version": 1, "wrapped": wrapped, "created_at": MOMENT}],
    )  # fmt: skip
    _put(main, "connections", (_connection(number) for number in range(200)))
    _put(main, "credentials", (_credential(number) for number in range(200)))
    _put(
        main, "definitions",
        [{"connection_id": "conn_1", "org_id": "org_1", "tools": b"[]", "listed_at": 0}],
    )  # fmt: skip
    _put(
        main, "approvals",
        [{"connection_id": "conn_1", "org_id": "org_1", "fingerprints": "{}", "tools": b"[]"}],
    )  # fmt: skip
    _put(main, "keys", (_key(number) for number in range(500)))
    _put(main, "virtuals", (_virtual(number) for number in range(50)))
    _put(main, "virtual_names", (_held(number) for number in range(50)))
    _put(main, "virtual_children", (_child(number) for number in range(50)))
    _put(main, "schedules", (_schedule(number) for number in range(20)))
    _put(main, "schedule_fires", (_fire(number) for number in range(100)))
    _put(main, "webhooks", (_webhook(number) for number in range(20)))
    _put(main, "events", (_event(number) for number in range(events)))


def _put(connection: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        marks = ", ".join(f":{name}" for name in row)
        connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)


def _connection(number: int) -> dict[str, Any]:
    stdio = number % 2
    return {
        "id": f"conn_{number}", "org_id": f"org_{number % 3}", "name": f"c-{number}",
        "transport": "stdio" if stdio else "http", "url": None if stdio else "https://e.x/?…",
        "command": '["a", "b c"]' if stdio else None, "bodies": "full", "created_at": MOMENT,
        "idle_s": number or None, "reason": ODD[number % len(ODD)],
    }  # fmt: skip


def _virtual(number: int) -> dict[str, Any]:
    return {
        "id": f"vir_{number}", "org_id": f"org_{number % 3}", "name": f"v-{number}",
        "description": ODD[number % len(ODD)], "instructions": None if number % 2 else "é\n",
        "mode": "passthrough", "naming": "plain", "maker": "{}", "owner_id": "usr_1",
        "created_at": MOMENT, "edition": number,
    }  # fmt: skip


def _held(number: int) -> dict[str, Any]:
    held = {"tool": {"echo": [f"conn_{number}", "echo"]}}
    return {
        "virtual_id": f"vir_{number}", "org_id": f"org_{number % 3}", "held": json.dumps(held),
    }  # fmt: skip


def _child(number: int) -> dict[str, Any]:
    return {
        "virtual_id": f"vir_{number}", "child_id": f"conn_{number}", "org_id": f"org_{number % 3}",
        "position": number, "tools": '["a*"]' if number % 2 else None, "prompts": "[]",
        "overrides": '{"é": {}}',
    }  # fmt: skip


def _credential(number: int) -> dict[str, Any]:
    return {
        "connection_id": f"conn_{number}", "kind": "header", "name": "Authorization",
        "org_id": f"org_{number % 3}", "blob": os.urandom(number % 80),
    }  # fmt: skip


def _key(number: int) -> dict[str, Any]:
    return {
        "id": f"key_{number}", "org_id": f"org_{number % 3}", "name": f"k-{number}",
        "prefix": "mshs_", "digest": number.to_bytes(32), "last_four": "abcd",
        "permissions": '{"*": ["*"]}', "role": None, "read_only": number % 2, "owner_id": "usr_1",
        "created_at": MOMENT, "expires_at": None if number % 2 else -(2**63),
        "last_used_at": 2**63 - 1,
    }  # fmt: skip


def _schedule(number: int) -> dict[str, Any]:
    return {
        "id": f"sch_{number}", "org_id": f"org_{number % 3}", "name": f"s-{number}", "type": "t",
        "subject": ODD[number % len(ODD)], "data": '"ü"', "cron": "*/5 * * * *", "zone": "UTC",
        "misfire": "all", "overlap": "queue", "published": None if number % 2 else f"{number}",
        "maker": "{}", "owner_id": "usr_1", "next_at": MOMENT if number % 2 else None, "queued": 1,
        "created_at": MOMENT,
    }  # fmt: skip


def _fire(number: int) -> dict[str, Any]:
    return {
        "schedule_id": f"sch_{number % 20}", "slot": MOMENT + number, "at": MOMENT, "missed": number,
        "org_id": f"org_{number % 20 % 3}", "outcome": "fired", "event": f"evt_{number}",
    }  # fmt: skip


def _webhook(number: int) -> dict[str, Any]:
    return {
        "id": f"hook_{number}", "org_id": f"org_{number % 3}", "name": f"h-{number}",
        "signature": "slack", "type": None, "secret": os.urandom(number),
        "secret_before": os.urandom(9) if number % 2 else None, "before_until": MOMENT,
        "maker": "{}", "owner_id": "usr_1", "created_at": MOMENT,
    }  # fmt: skip


def _event(number: int) -> dict[str, Any]:
    return {
        "org_id": f"org_{number % 3}", "id": f"evt_{number}", "type": "mesh.key.added",
        "source": "/orgs/x", "subject": None, "time": MOMENT + number,
        "data": ODD[number % len(ODD)],
    }  # fmt: skip


def _record(number: int, nul: bool) -> dict[str, Any]:
    return {
        "id": f"call_{number}", "org_id": f"org_{number % 3}", "at": MOMENT + number,
        "connection_id": "conn_1", "connection": "c-1", "tool": ODD[number % len(ODD)][:50],
        "principal_id": "key_1", "principal": "k-1", "ok": number % 2,
        "error": NUL if nul else None, "receive_us": 0, "decide_us": 1, "upstream_us": 2,
        "answer_us": 3, "arguments": b"\x00\xff" * (number % 20), "result": None, "cut": 0,
        "client": "test 1.0",
    }  # fmt: skip
