"""Events through a real daemon: to a real server and a real receiver, and over a kill."""

import hmac
import json
from base64 import b64decode
from collections.abc import Iterator

import pytest

from tests.support import stdio_server
from tests.support.command import meshctl
from tests.support.daemon import Daemon
from tests.support.upstream import Upstream, answer, result, tool, upstream
from tests.support.wait import until


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


def states(daemon: Daemon, query: str = "") -> list[str]:
    return [row["state"] for row in daemon.control("GET", f"/v1/deliveries{query}")]


def test_from_the_command_line_to_a_tool(shared_daemon: Daemon) -> None:
    """Published, delivered, shown with its attempt, in the tail, once for one id."""
    daemon = shared_daemon
    daemon.connect("erp", *stdio_server.command())
    template = '{"no": "{{ event.data.no }}", "text": "no {{ event.data.no }}"}'
    added = meshctl(
        daemon, "subscription", "add", "--type", "order.*", "--call", "erp/echo", "--args", template,
        "--name", "invoices", "--json",
    )  # fmt: skip
    assert json.loads(added.out)["id"].startswith("sub_")
    words = ("event", "publish", "order.made", "--data", '{"no": 17}', "--id", "o-17", "--json")
    published = meshctl(daemon, *words)
    told = json.loads(published.out)
    assert (told["id"], told["deliveries"], told["duplicate"]) == ("o-17", 1, False)
    assert json.loads(meshctl(daemon, *words).out) == {**told, "duplicate": True}
    other = meshctl(daemon, "event", "publish", "order.made", "--data", "18", "--id", "o-17")
    assert other.code == 6
    until(lambda: states(daemon, "?event=o-17") == ["done"])
    (call,) = daemon.control("GET", "/v1/calls?connection=erp")
    arguments = daemon.control("GET", f"/v1/calls/{call['id']}")["arguments"]
    assert arguments == {"no": 17, "text": "no 17"}
    (row,) = daemon.control("GET", "/v1/deliveries?event=o-17")
    card = meshctl(daemon, "delivery", "show", row["id"])
    assert "delivered" in card.out
    tailed = meshctl(daemon, "tail-events", "--no-follow", "--json", "--filter", "id=o-17").out
    assert json.loads(tailed)["data"] == {"no": 17}
    listed = meshctl(daemon, "event", "list", "--type", "order.made")
    assert "1/1" in listed.out
    assert meshctl(daemon, "event", "replay", "o-17").out == "delivers again 1 delivery\n"
    until(lambda: len(daemon.control("GET", "/v1/calls?connection=erp")) == 2)


def test_a_webhook_is_signed_and_sent_again_when_it_fails(
    shared_daemon: Daemon, receiver: Upstream
) -> None:
    """The same id at each attempt; the secret is shown once; 410 pauses the subscription."""
    daemon = shared_daemon
    receiver.replies[""] = answer(b"", status="302 Found")
    url = receiver.url.replace("/mcp", "/in?token=canary")
    added = meshctl(
        daemon, "subscription", "add", "--type", "ship.*", "--webhook", url, "--name", "hook"
    )
    secret = added.out.strip()
    assert secret.startswith("whsec_")
    assert "canary" not in added.err
    daemon.control("POST", "/v1/events", {"type": "ship.sent", "data": {"a": "ü"}, "id": "s-1"})
    until(lambda: len(receiver.seen) == 1)
    receiver.replies[""] = answer(b"", status="204 No Content")
    until(lambda: states(daemon, "?event=s-1") == ["done"])
    first, second = receiver.seen
    assert first.header("webhook-id") == second.header("webhook-id")
    assert (first.header("Meshctl-Attempt"), second.header("Meshctl-Attempt")) == ("1", "2")
    assert second.target == "/in?token=canary"
    assert second.header("Content-Type") == "application/cloudevents+json; charset=utf-8"
    event = json.loads(second.body)
    assert (event["specversion"], event["id"], event["data"]) == ("1.0", "s-1", {"a": "ü"})
    signed = f"{second.header('webhook-id')}.{second.header('webhook-timestamp')}.".encode()
    key = b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, signed + second.body, "sha256")
    signature = second.header("webhook-signature")
    assert signature is not None
    assert b64decode(signature.removeprefix("v1,")) == digest
    receiver.replies[""] = answer(b"", status="410 Gone")
    daemon.control("POST", "/v1/events", {"type": "ship.sent", "id": "s-2"})
    until(lambda: states(daemon, "?event=s-2") == ["dead"])
    shown = daemon.ask("GET", "/v1/subscriptions/hook").body
    assert b'"state":"paused","reason":"HTTP 410"' in shown
    assert secret.encode() not in shown
    assert b"canary" not in shown
    verified = daemon.control("GET", "/v1/vault/verify")
    opened = [one for one in verified["counts"] if one["table"] == "subscriptions"]
    assert [(one["opened"], one["failed"]) for one in opened] == [(2, 0)]
    kept = (daemon.home / "data" / "mesh.db").read_bytes()
    assert secret.encode() not in kept
    assert b"canary" not in kept


def test_on_events_answers_for_each_event(shared_daemon: Daemon, receiver: Upstream) -> None:
    """In a batch, by their ids, each with what became of it."""
    daemon = shared_daemon
    receiver.replies["tools/list"] = result({"tools": [tool("ON_EVENTS")]})
    results = {"p-1": {"success": True}, "p-2": {"success": False, "error": "not today"}}
    said = {"content": [], "structuredContent": {"results": results}}
    receiver.replies["tools/call"] = result(said)
    daemon.connect_http("crm", receiver.url)
    daemon.control("POST", "/v1/subscriptions", {"types": ["pay.*"], "connection": "crm"})
    for name in ("p-1", "p-2"):
        daemon.control("POST", "/v1/events", {"type": "pay.in", "id": name, "data": name})
    until(lambda: states(daemon, "?event=p-1") == ["done"])
    until(lambda: daemon.control("GET", "/v1/deliveries?event=p-2")[0]["error"] == "not today")
    sent = [
        event["id"]
        for seen in receiver.of("tools/call")
        for event in seen.message["params"]["arguments"]["events"]
    ]
    assert set(sent) == {"p-1", "p-2"}
    daemon.control("POST", "/v1/events/p-2/cancel", {})


def test_what_was_acknowledged_is_delivered_after_a_kill(receiver: Upstream) -> None:
    """Also what was on its way in that moment: at least once, with the next attempt."""
    daemon = Daemon.fresh().start()
    try:
        held: list[object] = []
        receiver.replies[""] = lambda _, wire: held.append(wire.recv(1))
        body = {"types": ["*.made"], "webhook": receiver.url}
        daemon.control("POST", "/v1/webhook-subscriptions", body)
        for n in range(20):
            daemon.control("POST", "/v1/events", {"type": "order.made", "id": str(n)})
        until(lambda: receiver.seen)
        daemon.kill()
        receiver.replies[""] = answer(b"", status="204 No Content")
        before = len(receiver.seen)
        daemon.start()
        until(lambda: states(daemon) == ["done"] * 20)
        delivered = {json.loads(seen.body)["id"] for seen in receiver.seen[before:]}
        assert delivered == {str(n) for n in range(20)}
        fences = [
            (seen.header("webhook-id"), seen.header("Meshctl-Fence")) for seen in receiver.seen
        ]
        assert len(set(fences)) == len(fences), "no claim is tried twice"
    finally:
        daemon.remove()


def test_a_stop_gives_back_what_it_did_not_end(receiver: Upstream) -> None:
    """The attempt does not count, and the next daemon need not wait for a lease."""
    daemon = Daemon.fresh().start()
    try:
        body = {"types": ["*"], "webhook": receiver.url, "name": "hook"}
        receiver.replies[""] = lambda _, wire: wire.recv(1)
        daemon.control("POST", "/v1/webhook-subscriptions", body)
        daemon.control("POST", "/v1/events", {"type": "a", "id": "1"})
        until(lambda: states(daemon, "?event=1") == ["inflight"])
        assert daemon.stop() == 0
        receiver.replies[""] = answer(b"", status="204 No Content")
        daemon.start()
        until(lambda: states(daemon, "?event=1") == ["done"])
        assert daemon.control("GET", "/v1/deliveries?event=1")[0]["attempt"] == 1
    finally:
        daemon.remove()


def test_dead_letters_by_command(shared_daemon: Daemon) -> None:
    daemon = shared_daemon
    daemon.connect("dead", *stdio_server.command())
    asked = {"types": ["lost.*"], "connection": "dead", "tool": "echo", "name": "lost"}
    asked["arguments"] = {"no": "{{ event.data.no }}"}  # type: ignore[assignment]
    daemon.control("POST", "/v1/subscriptions", asked)
    daemon.control("POST", "/v1/events", {"type": "lost.one", "id": "l-1"})
    until(lambda: states(daemon, "?event=l-1") == ["dead"])
    (row,) = json.loads(
        meshctl(daemon, "event", "dead", "list", "--subscription", "lost", "--json").out
    )
    retried = meshctl(daemon, "event", "dead", "retry", row["id"])
    assert retried.out == "tries 1 delivery\n"
    until(lambda: states(daemon, "?event=l-1") == ["dead"])
    dropped = meshctl(daemon, "event", "dead", "drop", row["id"], "--yes")
    assert dropped.out == "dropped 1 delivery\n"
    assert meshctl(daemon, "event", "dead", "retry", row["id"]).code == 6
    assert meshctl(daemon, "event", "dead", "burn").code == 2
