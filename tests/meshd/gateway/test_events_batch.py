"""`POST /events/{org}` with many events: all of them are stored, or none, on both databases."""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.daemon import Answer, Daemon
from tests.support.postgres import Postgres
from tests.support.wait import until

BATCH = "application/cloudevents-batch+json"
OWN, ANY = "self/event.publish", "self/event.publish_as"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    with ExitStack() as stack:
        env = {}
        if request.param == "postgres":
            server: Postgres = request.getfixturevalue("postgres")
            env["DATABASE_URL"] = stack.enter_context(server.schema())
        made = Daemon.fresh(**env)
        stack.callback(made.remove)
        yield made.start()


@pytest.fixture(scope="module")
def keys(daemon: Daemon) -> dict[str, str]:
    return {
        "publisher": daemon.add_key("publisher", OWN),
        "for-others": daemon.add_key("for-others", ANY),
        "anybody": daemon.add_key("anybody", OWN, ANY),
        "nobody": daemon.add_key("nobody", "*"),
    }


def batch(*events: object, kind: str = "shop.sold") -> list[object]:
    return [
        {"specversion": "1.0", "type": kind, **event} if isinstance(event, dict) else event
        for event in events
    ]


def post(daemon: Daemon, key: str | None, body: object, org: str = "default") -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return daemon.tcp("POST", f"/events/{org}", data, key=key, Content_Type=BATCH)


def count(daemon: Daemon, kind: str) -> int:
    return len(daemon.control("GET", f"/v1/events?type={kind}&limit=1000"))


def test_it_is_answered_in_order_and_stored_in_order(daemon: Daemon, keys: dict[str, str]) -> None:
    given = batch(*({"id": f"order-{n}", "data": n} for n in range(100)), kind="ordered")
    answers = post(daemon, keys["publisher"], given).json()
    assert [one["id"] for one in answers] == [f"order-{n}" for n in range(100)]
    assert {(one["type"], one["duplicate"]) for one in answers} == {("ordered", False)}
    listed = daemon.control("GET", "/v1/events?type=ordered&limit=1000")
    assert [one["id"] for one in reversed(listed)] == [f"order-{n}" for n in range(100)]


def test_each_event_goes_to_who_hears_it(daemon: Daemon, keys: dict[str, str]) -> None:
    body = {"types": ["heard"], "webhook": "http://127.0.0.1:9/", "name": "hears"}
    daemon.control("POST", "/v1/webhook-subscriptions", body)
    given = [*batch({"id": "h-1"}, kind="heard"), *batch({}, kind="unheard")]
    answers = post(daemon, keys["publisher"], given).json()
    assert [one["deliveries"] for one in answers] == [1, 0]
    again = post(daemon, keys["publisher"], given[:1]).json()
    assert again == [{**answers[0], "duplicate": True}]
    assert len(daemon.control("GET", "/v1/deliveries?subscription=hears")) == 1


def test_what_is_there_already_is_answered_as_it_was(daemon: Daemon, keys: dict[str, str]) -> None:
    first = post(daemon, keys["publisher"], batch({"id": "a", "data": 1}, kind="twice")).json()
    given = batch({"id": "new"}, {"id": "a", "data": 1}, {"id": "new"}, kind="twice")
    answers = post(daemon, keys["publisher"], given).json()
    assert answers[1] == {**first[0], "duplicate": True}
    assert [one["duplicate"] for one in answers] == [False, True, True]
    assert count(daemon, "twice") == 2


@pytest.mark.parametrize("before", [1, 0], ids=["of what is there", "of one another"])
def test_a_conflict_undoes_the_batch(daemon: Daemon, keys: dict[str, str], before: int) -> None:
    """Those before it and those after it are not stored, nor is any delivery."""
    kind = f"clash-{before}"
    taken = batch({"id": kind, "data": 1}, kind=kind)
    assert post(daemon, keys["publisher"], taken[:before]).status == 200
    other = batch({}, {"id": f"{kind}-b"}, {"id": kind, "data": 2}, {}, kind=kind)
    refused = post(daemon, keys["publisher"], [*taken[before:], *other])
    assert refused.status == 409
    index = str(2 + 1 - before)
    assert refused.json()["error"]["facts"] == {"index": index, "id": kind}
    assert count(daemon, kind) == before


@pytest.mark.parametrize(
    ("who", "events", "status"),
    [
        (None, [{}], 401), ("nobody", [{}], 403), ("nobody", [], 403), ("publisher", [], 200),
        ("publisher", [{}, {"source": "/shop"}], 403),
        ("for-others", [{"source": "/shop"}, {}], 403), ("for-others", [{"source": "/shop"}], 200),
        ("anybody", [{}, {"source": "/shop"}], 200),
    ],
    ids=str,
)  # fmt: skip
def test_it_needs_what_each_event_needs(
    daemon: Daemon, keys: dict[str, str], who: str | None, events: list[object], status: int
) -> None:
    before = count(daemon, "needs")
    answer = post(daemon, keys[who] if who else None, batch(*events, kind="needs"))
    assert answer.status == status, answer.body
    assert count(daemon, "needs") == before + (len(events) if status == 200 else 0)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"type": 1}, 400), ({"type": "mesh.key.added"}, 400), ({"specversion": "0.3"}, 400),
        ({"Bad": "x"}, 400), ({"time": "noon"}, 400), (17, 400),
        (None, 400), ([], 400), ({"data": "x" * 262_200}, 413),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_bad_event_is_named_and_none_is_stored(
    daemon: Daemon, keys: dict[str, str], event: object, status: int
) -> None:
    answer = post(daemon, keys["publisher"], batch({}, {}, event, kind="bad"))
    assert (answer.status, answer.json()["error"]["facts"]["index"]) == (status, "2")
    assert count(daemon, "bad") == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"", 400), (b'[{"specversion":"1.0","type":"a","data":"\\ud83d"}]', 400), (b"{}", 400), (b"\xff", 400), (b"[" * 2000, 400),
        (json.dumps(batch(*[{}] * 101)).encode(), 413), (b"[" + b" " * 600_000 + b"]", 413),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_is_no_batch(daemon: Daemon, keys: dict[str, str], body: bytes, status: int) -> None:
    assert post(daemon, keys["publisher"], body).status == status


def test_another_org_is_answered_as_one_that_nobody_has(
    daemon: Daemon, keys: dict[str, str]
) -> None:
    daemon.control("POST", "/v1/orgs", {"name": "alpha"})
    theirs, nobodys = (
        post(daemon, keys["publisher"], batch({}), org) for org in ("alpha", "alphx")
    )
    daemon.control("DELETE", "/v1/orgs/alpha")
    assert (theirs.status, theirs.body) == (404, nobodys.body.replace(b"alphx", b"alpha"))


def test_the_quota_counts_each_event() -> None:
    """A second's worth may come at once; more in one batch never may."""
    daemon = Daemon.fresh(MESHCTL_PUBLISH_RATE="10").start()
    try:
        key = daemon.add_key("publisher", OWN)
        assert post(daemon, key, batch(*[{}] * 11)).status == 413
        answers = [post(daemon, key, batch(*[{}] * 10)) for _ in range(2)]
        assert [one.status for one in answers] == [200, 429]
        assert answers[1].headers["retry-after"] == "1"
        assert count(daemon, "shop.sold") == 10
    finally:
        daemon.remove()


def test_a_batch_is_never_half_there_after_a_kill(daemon: Daemon, keys: dict[str, str]) -> None:
    """Every batch that was answered is whole, and any other is whole or not there at all."""
    answered: set[str] = set()
    key = keys["publisher"]

    def publish(name: str) -> None:
        for number in range(10_000):
            kind = f"half.{name}-{number}"
            try:
                said = post(
                    daemon, key, batch(*[{"id": f"{kind}-{n}"} for n in range(7)], kind=kind)
                )
            except (OSError, http.client.HTTPException):
                return
            assert said.status == 200, said.body
            answered.add(kind)

    for turn in range(2):
        before = len(answered)
        threads = [threading.Thread(target=publish, args=(f"{turn}{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(answered) > before + 8)  # noqa: B023 - it is done before the next turn
        daemon.kill()
        for thread in threads:
            thread.join()
        daemon.start()
    query = "after=0&follow=false&filter=type%3Dhalf.*"
    tail = daemon.ask("GET", f"/v1/tail/events?{query}").body
    counts = Counter(json.loads(line)["type"] for line in tail.splitlines() if line)
    assert set(counts.values()) == {7}
    assert answered <= counts.keys()
