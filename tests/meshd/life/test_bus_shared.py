"""Two daemons on one Postgres: each delivery is somebody's, and nobody else's."""

import json
from collections import Counter

from tests.support.daemon import Daemon
from tests.support.upstream import answer, upstream
from tests.support.wait import until


def test_each_delivers_its_share_and_none_twice(pair: list[Daemon]) -> None:
    """No event is sent twice while both live, and no claim ever."""
    first, second = pair
    with upstream() as receiver:
        receiver.replies[""] = answer(b"", status="204 No Content")
        for n in range(4):
            body = {"types": ["*.made"], "webhook": receiver.url, "name": f"hook-{n}"}
            first.control("POST", "/v1/webhook-subscriptions", body)
        until(lambda: len(second.control("GET", "/v1/subscriptions")) == 4)
        for n in range(60):
            told = pair[n % 2].control("POST", "/v1/events", {"type": "order.made", "id": str(n)})
            assert told["deliveries"] == 4
        path = "/v1/deliveries?state=done&limit=1000"
        until(lambda: len(first.control("GET", path)) == 240, 40)
        sent = Counter(seen.header("webhook-id") for seen in receiver.seen)
        assert len(sent) == 240
        assert set(sent.values()) == {1}
        ids = Counter(json.loads(seen.body)["id"] for seen in receiver.seen)
        assert set(ids.values()) == {4}
        daemons = set()
        for row in first.control("GET", path)[:40]:
            (attempt,) = first.control("GET", f"/v1/deliveries/{row['id']}")["attempts"]
            assert (attempt["attempt"], attempt["fence"]) == (1, 1)
            daemons.add(attempt["daemon"])
        assert len(daemons) <= 2


def test_one_takes_over_what_the_other_was_killed_with(pair: list[Daemon]) -> None:
    """What waits at once; what was on its way when its lease runs out, which no test waits for."""
    first, second = pair
    with upstream() as receiver:
        receiver.replies[""] = answer(b"", status="503 Busy")
        first.control(
            "POST", "/v1/webhook-subscriptions", {"types": ["*"], "webhook": receiver.url}
        )
        until(lambda: second.control("GET", "/v1/subscriptions"))
        first.control("POST", "/v1/events", {"type": "order.made", "id": "1"})
        until(lambda: receiver.seen)
        until(lambda: second.control("GET", "/v1/deliveries?event=1")[0]["state"] == "ready")
        first.kill()
        first.start()
        receiver.replies[""] = answer(b"", status="204 No Content")
        until(lambda: second.control("GET", "/v1/deliveries?event=1")[0]["state"] == "done", 30)
