"""Schedules through real daemons: from the command line, over a kill, and of two daemons."""

import json
import sqlite3
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from tests.support.command import meshctl
from tests.support.daemon import Daemon
from tests.support.tenants import Tenant
from tests.support.upstream import answer, upstream
from tests.support.wait import until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def ticks(daemon: Daemon, type_: str = "tick") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.control("GET", f"/v1/events?type={type_}&limit=1000")
    return found


def slots(daemon: Daemon, type_: str = "tick") -> Counter[str]:
    """How often each slot was published."""
    found = [daemon.control("GET", f"/v1/events/{one['id']}") for one in ticks(daemon, type_)]
    return Counter(one["meshslot"] for one in found)


def test_from_the_command_line_to_a_delivery(shared_daemon: Daemon) -> None:
    daemon = shared_daemon
    with upstream() as receiver:
        receiver.replies[""] = answer(b"", status="204 No Content")
        daemon.control(
            "POST", "/v1/webhook-subscriptions", {"types": ["beat"], "webhook": receiver.url}
        )
        words = ("schedule", "add", "pulse", "--type", "beat", "--cron", "* * * * * *")
        added = json.loads(meshctl(daemon, *words, "--data", '{"a": 1}', "--json").out)
        assert added["id"].startswith("sch_")
        until(lambda: len(receiver.seen) >= 2)
        assert json.loads(receiver.seen[0].body)["data"] == {"a": 1}
    assert meshctl(daemon, "schedule", "pause", "pulse").out == 'paused schedule "pulse"\n'
    next_ = meshctl(daemon, "schedule", "next", "pulse", "--count", "3", "--json")
    times = [datetime.fromisoformat(one) for one in json.loads(next_.out)]
    assert [(b - a).total_seconds() for a, b in pairwise(times)] == [1, 1]
    ran = json.loads(meshctl(daemon, "schedule", "run", "pulse", "--json").out)
    assert (ran["type"], ran["deliveries"], ran["duplicate"]) == ("beat", 1, False)
    shown = meshctl(daemon, "schedule", "show", "pulse")
    assert f"run  {ran['id']}" in shown.out
    assert "paused" in meshctl(daemon, "schedule", "list").out
    gone = meshctl(daemon, "schedule", "remove", "pulse", "--yes")
    assert gone.out == 'removed schedule "pulse"\n'
    assert meshctl(daemon, "schedule", "show", "pulse").code == 5


def test_an_event_is_published_for_later_and_again_and_again(shared_daemon: Daemon) -> None:
    daemon = shared_daemon
    with upstream() as receiver:
        receiver.replies[""] = answer(b"", status="204 No Content")
        daemon.control(
            "POST", "/v1/webhook-subscriptions", {"types": ["later"], "webhook": receiver.url}
        )
        words = ("event", "publish", "later", "--json", "--at")
        put_off = json.loads(meshctl(daemon, *words, "1h").out)
        assert put_off["deliveries"] == 1
        soon = json.loads(meshctl(daemon, *words, "1s").out)
        until(lambda: len(receiver.seen) == 1)
        assert json.loads(receiver.seen[0].body)["id"] == soon["id"]
        assert meshctl(daemon, "event", "cancel", put_off["id"]).out == "cancelled 1 delivery\n"
    cron = ("event", "publish", "yearly", "--cron", "@yearly", "--tz", "Europe/Berlin", "--json")
    first = json.loads(meshctl(daemon, *cron).out)
    assert sorted(first) == ["deliveries", "duplicate", "id", "source", "time", "type"]
    assert first["time"] == f"{datetime.now(UTC).year}-12-31T23:00:00.000000Z"
    assert json.loads(meshctl(daemon, *cron).out) == {**first, "duplicate": True}
    assert meshctl(daemon, *cron, "--at", "1h").code == 2
    assert meshctl(daemon, "event", "publish", "x", "--tz", "UTC").code == 2


def test_nothing_is_fired_twice_or_lost_over_kills(daemon: Daemon) -> None:
    """Every second of the time, also of that without a daemon: `all` makes up for it."""
    daemon.control(
        "POST", "/v1/schedules",
        {"name": "tick", "type": "tick", "cron": "* * * * * *", "misfire": "all"},
    )  # fmt: skip
    for n in range(3):
        until(lambda n=n: len(ticks(daemon)) > 2 * n)  # type: ignore[misc]
        daemon.kill()
        daemon.start()
    last = len(ticks(daemon))
    until(lambda: len(ticks(daemon)) > last + 1)
    daemon.control("POST", "/v1/schedules/tick/pause")
    seen = slots(daemon)
    assert set(seen.values()) == {1}
    moments = sorted(datetime.fromisoformat(one) for one in seen)
    assert {(b - a).total_seconds() for a, b in pairwise(moments)} == {1.0}


def test_two_daemons_fire_each_slot_once(pair: list[Daemon]) -> None:
    """Also when one of them is killed; what one was told to pause, neither fires."""
    first, second = pair
    first.control("POST", "/v1/schedules", {"name": "tick", "type": "tick", "cron": "* * * * * *"})
    until(lambda: len(ticks(second)) >= 4)
    first.kill()
    before = len(ticks(second))
    until(lambda: len(ticks(second)) >= before + 3)
    second.control("POST", "/v1/schedules/tick/pause")
    seen = slots(second)
    assert set(seen.values()) == {1}
    shown = second.control("GET", "/v1/schedules/tick")
    assert shown["state"] == "paused"
    assert len(ticks(second)) == len(seen)


def test_another_org_has_none_of_it_and_a_removed_one_leaves_none(daemon: Daemon) -> None:
    team = Tenant.made(daemon, "team")
    team.control("POST", "/v1/schedules", {"name": "tick", "type": "tick", "cron": "* * * * * *"})
    hook = team.control(
        "POST", "/v1/webhooks", {"name": "h", "signature": "standard", "signing": SECRET}
    )
    other = Tenant(daemon, "default", "")
    key = other.add_key("other", "self")
    for path in ("schedules", "webhooks"):
        assert daemon.tcp("GET", f"/v1/{path}", key=key).json() == []
        (mine,) = team.control("GET", f"/v1/{path}")
        for name in (mine["name"], mine["id"], "nothing"):
            answer = daemon.tcp("GET", f"/v1/{path}/{name}", key=key)
            assert answer.status == 404
    until(lambda: len(team.control("GET", "/v1/events?type=tick")) >= 1)
    assert other.control("GET", "/v1/events?type=tick") == []
    path = hook["url"].removeprefix(daemon.url)
    assert daemon.tcp("POST", path, b"{}").status == 401
    daemon.control("DELETE", "/v1/orgs/team")
    assert daemon.tcp("POST", path, b"{}").status == 404
    link = sqlite3.connect(f"file:{daemon.home}/data/mesh.db?mode=ro", uri=True)
    for table in ("schedules", "schedule_fires", "webhooks"):
        assert link.execute(f"SELECT COUNT(*) FROM {table}").fetchall() == [(0,)], table
    link.close()
