"""What a daemon tells of itself: every type of the table, with its data as declared and no secret.

One story does whatever there is to do. What it cannot bring about in seconds has tests of its own.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshd.wire.system_event import Undeclared
from meshd.wire.system_events import ROWS, SYSTEM_EVENTS, declared
from tests.support.command import meshctl
from tests.support.daemon import Daemon
from tests.support.upstream import Reply, Upstream, answer, result, tool, upstream
from tests.support.wait import until

CANARY = "canary4f2a9d71c0ffee"
ELSEWHERE = {
    "schedule.missed": "tests/meshd/services/test_schedules.py",
    "schedule.held": "tests/meshd/services/test_schedules.py",
    "subscription.held_back": "tests/meshd/services/test_bus.py",
    "subscription.recovered": "tests/meshd/services/test_bus.py",
    "vault.unlocked": "tests/meshd/life/test_locked.py",
}
"""Kinds that take longer, or a daemon of another kind, and where they are shown."""


class _Always(dict[str, Reply]):
    """One answer to everything."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = reply

    def get(self, *_: object) -> Reply:  # type: ignore[override]
        return self._reply


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture
def refusing() -> Iterator[Upstream]:
    """Answers 401 to everything, with what it was shown."""
    with upstream() as made:
        made.replies = _Always(answer(f"Bearer {CANARY}".encode(), status="401 Unauthorized"))
        yield made


@pytest.fixture
def gone() -> Iterator[Upstream]:
    """The target of a webhook that is no more."""
    with upstream() as made:
        made.replies = _Always(answer(f"token={CANARY}".encode(), status="410 Gone"))
        yield made


def tail(daemon: Daemon, *words: str) -> list[dict[str, Any]]:
    ran = meshctl(daemon, "tail-events", "--no-follow", "--since", "1h", "--json", *words)
    return [json.loads(line) for line in ran.out.splitlines()]


def connections(daemon: Daemon, server: Upstream, refusing: Upstream) -> None:
    headers = {"Authorization": f"Bearer {CANARY}"}
    secret = {"url": f"{server.url}?token={CANARY}", "headers": headers}
    daemon.control("POST", "/v1/connections", {"name": "erp", "trust": "pinned", **secret})
    server.replies["tools/list"] = result({"tools": [tool("echo"), tool("new")]})
    daemon.control("GET", "/v1/tools?connection=erp")
    meshctl(daemon, "tool", "approve", "erp", "--yes")
    url = refusing.url.replace("http://", f"http://user:{CANARY}@")
    daemon.ask("POST", "/v1/connections", {"name": "login", "url": url, "headers": headers})
    daemon.ask(
        "POST", "/v1/connections", {"name": "dead", "url": f"http://127.0.0.1:9/?k={CANARY}"}
    )
    daemon.control("PATCH", "/v1/connections/erp", {"bodies": "full"})
    for verb in ("disable", "enable"):
        daemon.control("POST", f"/v1/connections/erp/{verb}", {})
    daemon.control("DELETE", "/v1/connections/dead")


def virtuals(daemon: Daemon) -> None:
    daemon.control("POST", "/v1/virtuals", {"name": "work", "children": []})
    daemon.control("PATCH", "/v1/virtuals/work", {"description": "x"})
    daemon.control("POST", "/v1/virtuals/work/children", {"child": "erp"})
    daemon.control("DELETE", "/v1/virtuals/work/children/erp")
    for verb in ("disable", "enable"):
        daemon.control("POST", f"/v1/virtuals/work/{verb}", {})
    daemon.control("DELETE", "/v1/virtuals/work")


def keys(daemon: Daemon) -> list[str]:
    """Secrets that were shown."""
    made = [daemon.add_key("one", "erp"), daemon.add_key("soon", expires="1d")]
    daemon.control("PATCH", "/v1/keys/one", {"role": "user"})
    made.append(daemon.control("POST", "/v1/keys/one/rotate", {})["key"])
    daemon.control("DELETE", "/v1/keys/one")
    return made


def bus(daemon: Daemon, gone: Upstream) -> list[str]:
    """Secrets that were shown."""
    asked = {"types": ["order.*"], "webhook": f"{gone.url}?token={CANARY}", "name": "s"}
    made = [daemon.control("POST", "/v1/webhook-subscriptions", asked)["secret"]]
    daemon.control("POST", "/v1/events", {"type": "order.made", "id": "17", "data": 1})
    until(lambda: daemon.control("GET", "/v1/subscriptions/s")["state"] == "paused")
    until(lambda: daemon.control("GET", "/v1/deliveries?state=dead"))
    made.append(daemon.control("POST", "/v1/subscriptions/s/rotate-secret", {})["secret"])
    (dead,) = daemon.control("GET", "/v1/deliveries?state=dead")
    daemon.control("POST", "/v1/dead-deliveries/drop", {"delivery": dead["id"]})
    daemon.control("POST", "/v1/dead-deliveries/retry", {"all": True})
    for verb in ("retry", "replay", "cancel"):
        daemon.control("POST", f"/v1/events/17/{verb}", {})
    daemon.control("POST", "/v1/events/17/ack", {"connection": "erp"})
    daemon.control("POST", "/v1/subscriptions/s/resume", {})
    daemon.control("PATCH", "/v1/subscriptions/s", {"owner": "me"})
    daemon.control("DELETE", "/v1/subscriptions/s")
    return made


def inflow(daemon: Daemon) -> None:
    daemon.control("POST", "/v1/schedules", {"name": "n", "type": "t", "cron": "@yearly"})
    hook = {"name": "h", "signature": "github", "signing": CANARY}
    daemon.control("POST", "/v1/webhooks", hook)
    daemon.control("POST", "/v1/webhooks/h/rotate", {"signing": f"{CANARY}-2"})
    for path in ("/v1/schedules/n", "/v1/webhooks/h"):
        for verb in ("pause", "resume"):
            daemon.control("POST", f"{path}/{verb}", {})
        daemon.control("PATCH", path, {"owner": "me"})
        daemon.control("DELETE", path)


def instance(daemon: Daemon, folder: Path) -> list[dict[str, Any]]:
    """The events of an org that is gone afterwards."""
    daemon.control("POST", "/v1/orgs", {"name": "team"})
    daemon.control("PATCH", "/v1/orgs/team", {"name": "crew"})
    theirs = tail(daemon, "--org", "crew")
    daemon.control("DELETE", "/v1/orgs/crew")
    daemon.control("POST", "/v1/db/backup", {"file": str(folder / "a.backup")})
    os.kill(daemon.pid, signal.SIGHUP)
    until(lambda: tail(daemon, "--filter", "type=mesh.config.reloaded"))
    return theirs


def test_everything_is_told_as_declared_and_no_secret(
    daemon: Daemon, server: Upstream, refusing: Upstream, gone: Upstream, tmp_path: Path
) -> None:
    connections(daemon, server, refusing)
    virtuals(daemon)
    secrets = [*keys(daemon), *bus(daemon, gone), CANARY]
    inflow(daemon)
    theirs = instance(daemon, tmp_path)
    daemon.stop()
    daemon.start()  # it looks at once for keys that end soon

    def told() -> list[dict[str, Any]]:
        return [*theirs, *tail(daemon, "--filter", "type=mesh.*")]

    def missing() -> set[str]:
        seen = {event["type"].removeprefix("mesh.") for event in told()}
        return SYSTEM_EVENTS.keys() - seen - ELSEWHERE.keys()

    until(lambda: "key.expiring" not in missing())
    assert missing() == set()
    for event in told():
        data = event["data"]
        assert sorted(data.pop("by")) == ["id", "name"]
        declared(event["type"].removeprefix("mesh.")).check(data)
    text = json.dumps(told())
    assert [secret for secret in secrets if secret in text] == []


@pytest.mark.parametrize(
    "data",
    [
        {"name": "a", "key": "x"}, {}, {"name": 7}, {"name": None}, {"name": "a", "expires_at": None},
    ],
    ids=str,
)  # fmt: skip
def test_data_that_is_not_declared_is_not_published(data: dict[str, Any]) -> None:
    with pytest.raises(Undeclared, match=r"mesh\.key\.revoked"):
        declared("key.revoked").check(data)


def test_a_type_that_is_not_declared_is_not_published() -> None:
    with pytest.raises(Undeclared):
        declared("key.borrowed")


def test_the_table_is_sound() -> None:
    """Each kind once, and each example is what it is an example of."""
    assert len(SYSTEM_EVENTS) == len(ROWS)
    for row in ROWS:
        row.check(row.example)
        assert row.when.endswith(".")
        assert "by" not in row.known


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_the_others_are_shown_where_it_is_said(kind: str) -> None:
    text = (Path(__file__).parents[3] / ELSEWHERE[kind]).read_text()
    assert kind in text
