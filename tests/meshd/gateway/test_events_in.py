"""`POST /events/{org}`: single events of CloudEvents over HTTP in both modes, and who may."""

import json

import pytest

from tests.support.daemon import Answer, Daemon

STRUCTURED = "application/cloudevents+json"


@pytest.fixture(scope="module")
def keys(shared_daemon: Daemon) -> dict[str, str]:
    return {
        "publisher": shared_daemon.add_key("publisher", "self/event.publish"),
        "anybody": shared_daemon.add_key("anybody", "self/event.publish", "self/event.publish_as"),
        "pattern": shared_daemon.add_key("pattern", "self/event.publish*"),
        "nobody": shared_daemon.add_key("nobody", "*"),
        "reader": shared_daemon.add_key("reader", "self/event.*", read_only=True),
    }


def post(
    daemon: Daemon, key: str | None, event: object, org: str = "default", **headers: str
) -> Answer:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return daemon.tcp("POST", f"/events/{org}", body, key=key, **headers)


def structured(daemon: Daemon, key: str | None, org: str = "default", **event: object) -> Answer:
    given = {"specversion": "1.0", "type": "shop.sold", **event}
    return post(daemon, key, given, org, Content_Type=STRUCTURED)


def stored(daemon: Daemon, name: str) -> dict[str, object]:
    found: dict[str, object] = daemon.control("GET", f"/v1/events/{name}")
    return found


def test_structured_mode(shared_daemon: Daemon, keys: dict[str, str]) -> None:
    told = structured(
        shared_daemon, keys["publisher"], id="st-1", subject="s", time="2026-01-02T03:04:05+01:00",
        data={"no": 1}, traceparent="00-1",
    ).json()  # fmt: skip
    assert told["source"].startswith("/keys/key_")
    assert told["time"] == "2026-01-02T03:04:05+01:00"
    event = stored(shared_daemon, "st-1")
    assert (event["data"], event["traceparent"]) == ({"no": 1}, "00-1")


@pytest.mark.parametrize(
    ("media", "body", "member", "value"),
    [
        ("application/json", b'{"no": 2}', "data", {"no": 2}),
        ("application/geo+json", b"[1]", "data", [1]),
        ("text/plain", b"hello", "data_base64", "aGVsbG8="),
        ("image/png", b"\x89\0", "data_base64", "iQA="),
    ],
)
def test_binary_mode(
    shared_daemon: Daemon, keys: dict[str, str], media: str, body: bytes, member: str, value: object
) -> None:
    name = f"bi-{media.replace('/', '-')}"
    answer = post(
        shared_daemon, keys["publisher"], body, Content_Type=media, ce_specversion="1.0",
        ce_type="shop.sold", ce_id=name, ce_subject="a%20b", ce_tier="gold",
    )  # fmt: skip
    assert answer.status == 200, answer.body
    event = stored(shared_daemon, name)
    assert (event[member], event["datacontenttype"]) == (value, media)
    assert (event["subject"], event["tier"]) == ("a b", "gold")


def test_the_same_event_twice_and_another_of_its_id(
    shared_daemon: Daemon, keys: dict[str, str]
) -> None:
    first = structured(shared_daemon, keys["publisher"], id="twice", data=1).json()
    again = structured(shared_daemon, keys["publisher"], id="twice", data=1).json()
    assert again == {**first, "duplicate": True}
    assert structured(shared_daemon, keys["publisher"], id="twice", data=2).status == 409


@pytest.mark.parametrize(
    ("who", "event", "status"),
    [
        (None, {}, 401), ("nobody", {}, 403), ("reader", {}, 403), ("publisher", {}, 200),
        ("publisher", {"source": "/shop"}, 403), ("anybody", {"source": "/shop"}, 200),
        ("pattern", {"source": "/shop"}, 403), ("pattern", {}, 200),
        ("anybody", {"type": "mesh.key.added"}, 400), ("publisher", {"specversion": "0.3"}, 400),
        ("publisher", {"type": 1}, 400), ("publisher", {"type": "x", "Bad": "y"}, 400),
        ("publisher", {"data": "x" * 262_200}, 413), ("publisher", {"data": "x" * 600_000}, 413),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_who_may_publish_what(
    shared_daemon: Daemon, keys: dict[str, str], who: str | None, event: dict, status: int
) -> None:
    answer = structured(shared_daemon, keys[who] if who else None, **event)
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content_Type": STRUCTURED}, b"{", 400),
        ({"Content_Type": STRUCTURED}, b'{"specversion":"1.0","type":"a","type":"b"}', 400),
        ({"Content_Type": STRUCTURED}, b'{"specversion":"1.0","type":"a","data":%b}' % (b"[" * 99), 400),
        ({"Content_Type": STRUCTURED}, b'{"specversion":"1.0","type":"a","data":"\\ud83d"}', 400),
        ({"Content_Type": STRUCTURED}, b'{"specversion":"1.0","type":"a","data":[1e400]}', 400),
        ({"Content_Type": "application/cloudevents+avro"}, b"[]", 415),
        ({"Content_Type": "application/json"}, b"{}", 400),
        ({"Content_Type": "application/json", "ce_specversion": "1.0"}, b"{}", 400),
        ({"Content_Type": "application/json", "ce_specversion": "1.0", "ce_type": "a"}, b"{", 400),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_event(
    shared_daemon: Daemon, keys: dict[str, str], headers: dict, body: bytes, status: int
) -> None:
    assert post(shared_daemon, keys["publisher"], body, **headers).status == status


def test_another_org_is_answered_as_one_that_nobody_has(
    shared_daemon: Daemon, keys: dict[str, str]
) -> None:
    shared_daemon.control("POST", "/v1/orgs", {"name": "alpha"})
    theirs = structured(shared_daemon, keys["publisher"], org="alpha")
    nobodys = structured(shared_daemon, keys["publisher"], org="alphx")
    assert (theirs.status, theirs.body) == (404, nobodys.body.replace(b"alphx", b"alpha"))
    assert structured(shared_daemon, keys["publisher"], org="").status == 404
    got = shared_daemon.tcp("GET", "/events/default", key=keys["publisher"])
    assert got.status == 405


def test_over_the_quota_it_is_said_when_to_come_again() -> None:
    daemon = Daemon.fresh(MESHCTL_PUBLISH_RATE="2").start()
    try:
        key = daemon.add_key("publisher", "self/event.publish")
        answers = [structured(daemon, key) for _ in range(6)]
        refused = [answer for answer in answers if answer.status != 200]
        assert refused
        assert {answer.status for answer in refused} == {429}
        assert refused[0].headers["retry-after"] == "1"
    finally:
        daemon.remove()
