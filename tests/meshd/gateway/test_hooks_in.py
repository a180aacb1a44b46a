"""`POST /hooks/{id}`: events of other services, by their signature alone."""

import hmac
import http.client
import json
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from meshd.bus import signing
from meshd.core.secret import Secret
from tests.support.command import meshctl
from tests.support.daemon import Answer, Daemon
from tests.support.wait import until

SECRET = "whsec_" + b64encode(b"a secret of 24 bytes or so").decode()
OTHER = "whsec_" + b64encode(b"another secret, just as long").decode()


def made(daemon: Daemon, name: str, signature: str = "standard", **more: Any) -> str:
    """The path of a new webhook."""
    body = {"name": name, "signature": signature, "signing": SECRET, **more}
    url = daemon.control("POST", "/v1/webhooks", body)["url"]
    assert url.startswith(f"{daemon.url}/hooks/hook_")
    return str(url.removeprefix(daemon.url))


def send(
    daemon: Daemon,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    media: str = "application/json",
) -> Answer:
    return daemon.tcp("POST", path, body, **{"Content-Type": media, **headers})


def signed(
    daemon: Daemon, path: str, body: bytes, name: str = "msg_1", secret: str = SECRET, late: int = 0
) -> Answer:
    headers = signing.headers([Secret(secret)], name, int(time.time()) - late, body)
    return send(daemon, path, body, headers)


def stored(daemon: Daemon, source: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.control("GET", f"/v1/events?source={source}")
    return found


def test_what_is_signed_is_an_event_once(shared_daemon: Daemon) -> None:
    """Sent again under its id, also in other words, it is the same one."""
    path = made(shared_daemon, "pay")
    body = json.dumps({"type": "invoice.paid", "no": 17}).encode()
    answer = signed(shared_daemon, path, body)
    assert (answer.status, answer.json()) == (202, {"id": "msg_1", "duplicate": False})
    for again in (body, b'{"type": "invoice.paid", "no": 18}'):
        answer = signed(shared_daemon, path, again)
        assert (answer.status, answer.json()) == (202, {"id": "msg_1", "duplicate": True})
    (event,) = stored(shared_daemon, "webhook:pay")
    assert (event["type"], event["id"]) == ("pay.invoice.paid", "msg_1")
    assert shared_daemon.control("GET", "/v1/events/msg_1")["data"] == {
        "type": "invoice.paid",
        "no": 17,
    }


def test_github(shared_daemon: Daemon) -> None:
    """As JSON and as a form; a type of one's own stands for whatever GitHub calls it."""
    path = made(shared_daemon, "github", "github")
    own = made(shared_daemon, "own-type", "github", type="code.changed")
    for where, media, body, name in (
        (path, "application/json", b'{"ref": "main"}', "gh-1"),
        (own, "application/x-www-form-urlencoded", b"payload=%7B%22ref%22%3A1%7D", "gh-2"),
    ):
        headers = {
            "X-Hub-Signature-256": "sha256=" + hmac.digest(SECRET.encode(), body, "sha256").hex(),
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": name,
        }
        assert send(shared_daemon, where, body, headers, media).status == 202
    first, second = (
        shared_daemon.control("GET", f"/v1/events/{name}") for name in ("gh-1", "gh-2")
    )
    assert (first["type"], first["data"]) == ("github.push", {"ref": "main"})
    assert (second["type"], second["data"]) == ("code.changed", {"payload": '{"ref":1}'})


def test_slack_asks_whether_the_url_is_ours(shared_daemon: Daemon) -> None:
    """Only who signs is answered, and the question is no event."""
    path = made(shared_daemon, "slack", "slack")
    body, now = b'{"type": "url_verification", "challenge": "3eZbrw1aB"}', str(int(time.time()))
    right = hmac.digest(SECRET.encode(), b"v0:%b:%b" % (now.encode(), body), "sha256").hex()
    headers = {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": f"v0={right}"}
    answer = send(shared_daemon, path, body, headers)
    assert (answer.status, answer.json()) == (200, {"challenge": "3eZbrw1aB"})
    headers["X-Slack-Signature"] = f"v0={'0' * 64}"
    wrong = send(shared_daemon, path, body, headers)
    assert wrong.status == 401
    assert b"3eZbrw1aB" not in wrong.body
    assert stored(shared_daemon, "webhook:slack") == []


def test_stripe(shared_daemon: Daemon) -> None:
    path, now = made(shared_daemon, "stripe", "stripe"), int(time.time())
    body = b'{"id": "evt_stripe", "type": "charge.succeeded"}'
    right = hmac.digest(SECRET.encode(), b"%d.%b" % (now, body), "sha256").hex()
    header = f"t={now},v1={'0' * 64},v1={right}"
    assert send(shared_daemon, path, body, {"Stripe-Signature": header}).status == 202
    assert (
        shared_daemon.control("GET", "/v1/events/evt_stripe")["type"] == "stripe.charge.succeeded"
    )


def test_what_is_not_signed_right_is_no_event(shared_daemon: Daemon) -> None:
    path = made(shared_daemon, "strict")
    for answer in (
        signed(shared_daemon, path, b"{}", secret=OTHER),
        signed(shared_daemon, path, b"{}", late=301),
        signed(shared_daemon, path, b"{}", late=-310),
        send(shared_daemon, path, b"{}", {}),
        send(shared_daemon, path, b"not even json", {}),
    ):
        assert answer.status == 401
        assert "www-authenticate" not in answer.headers
    key = shared_daemon.add_key("hooks-key", "*", "self")
    assert shared_daemon.tcp("POST", path, b"{}", key=key).status == 401, "a key is no signature"
    assert stored(shared_daemon, "webhook:strict") == []


def test_unknown_paused_and_removed_answer_alike(shared_daemon: Daemon) -> None:
    """Signed or not, byte for byte."""
    path = made(shared_daemon, "rests")
    shared_daemon.control("POST", "/v1/webhooks/rests/pause")
    paused = [signed(shared_daemon, path, b"{}"), send(shared_daemon, path, b"{}", {})]
    unknown = send(shared_daemon, "/hooks/hook_aaaaaaaaaaaaaaaa", b"{}", {})
    by_name = signed(shared_daemon, "/hooks/rests", b"{}")
    shared_daemon.control("POST", "/v1/webhooks/rests/resume")
    assert signed(shared_daemon, path, b"{}").status == 202
    shared_daemon.control("DELETE", "/v1/webhooks/rests")
    removed = signed(shared_daemon, path, b"{}")
    assert {(a.status, a.body) for a in (*paused, by_name, removed)} == {(404, unknown.body)}
    assert unknown.status == 404


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b'{"a": "\xff"}', 400),
        ("application/json", b"[" * 100 + b"]" * 100, 400),
        ("text/plain", b"hello", 400),
        ("application/x-www-form-urlencoded", b"no equals sign", 400),
        ("application/json", b'"' + b"x" * (256 * 1024) + b'"', 413),
        ("application/json", b'"' + b"x" * (600 * 1024) + b'"', 413),
        ("application/vnd.x+json", b"{}", 202),
        ("application/json", b"", 202),
    ],
)
def test_bodies(shared_daemon: Daemon, bodies: str, media: str, body: bytes, status: int) -> None:
    headers = signing.headers([Secret(SECRET)], f"{media} {len(body)}", int(time.time()), body)
    assert send(shared_daemon, bodies, body, headers, media).status == status


@pytest.fixture(scope="module")
def bodies(shared_daemon: Daemon) -> str:
    return made(shared_daemon, "bodies")


def test_the_gate_stands_in_front(shared_daemon: Daemon) -> None:
    path = made(shared_daemon, "gated")
    assert shared_daemon.tcp("POST", path, b"{}", Host="evil.example").status == 421
    assert shared_daemon.tcp("POST", path, b"{}", Origin="https://evil.example").status == 403
    for method in ("GET", "HEAD", "PUT", "OPTIONS"):
        assert shared_daemon.tcp(method, path).status == 404


def test_two_secrets_count_for_a_while(shared_daemon: Daemon) -> None:
    path = made(shared_daemon, "turns")
    words = ("webhook", "rotate", "turns", "--from-stdin", "--json")
    told = json.loads(meshctl(shared_daemon, *words, stdin=OTHER).out)
    assert told["old_secret_until"]
    assert signed(shared_daemon, path, b"1", "t-1").status == 202
    assert signed(shared_daemon, path, b"2", "t-2", secret=OTHER).status == 202
    meshctl(shared_daemon, *words, "--keep", "0s", stdin=SECRET)
    assert signed(shared_daemon, path, b"3", "t-3", secret=OTHER).status == 401
    assert signed(shared_daemon, path, b"4", "t-4").status == 202


def test_it_ends_with_the_rights_of_who_made_it(shared_daemon: Daemon) -> None:
    """A signature that is right still publishes nothing for a key that is gone."""
    key = shared_daemon.add_key("hook-maker", "self/webhook.*", "self/event.publish")
    body = {"name": "keyed", "signature": "standard", "signing": SECRET}
    told = shared_daemon.tcp("POST", "/v1/webhooks", json.dumps(body).encode(), key=key).json()
    path = told["url"].removeprefix(shared_daemon.url)
    assert signed(shared_daemon, path, b"{}").status == 202
    shared_daemon.control("DELETE", "/v1/keys/hook-maker")
    assert signed(shared_daemon, path, b"{}", "msg_2").status == 404
    shown = shared_daemon.control("GET", "/v1/webhooks/keyed")
    assert (shown["state"], shown["reason"]) == (
        "paused", "the key hook-maker was revoked or has expired",
    )  # fmt: skip
    resumed = shared_daemon.ask("POST", "/v1/webhooks/keyed/resume", {})
    assert (resumed.status, resumed.json()["error"]["next"]) == (
        409, "meshctl webhook edit keyed --owner me",
    )  # fmt: skip
    taken = json.loads(
        meshctl(shared_daemon, "webhook", "edit", "keyed", "--owner", "me", "--json").out
    )
    assert (taken["state"], taken.get("reason")) == ("active", None)
    assert signed(shared_daemon, path, b"{}", "msg_3").status == 202
    weak = shared_daemon.add_key("weak-maker", "self/webhook.*")
    body["name"] = "weak"
    answer = shared_daemon.tcp("POST", "/v1/webhooks", json.dumps(body).encode(), key=weak)
    assert (answer.status, answer.json()["error"]["next"]) == (
        403, "meshctl key edit weak-maker --allow self/event.publish",
    )  # fmt: skip
    refused = shared_daemon.tcp("PATCH", "/v1/webhooks/keyed", b'{"owner":"me"}', key=weak)
    assert refused.status == 403


def test_the_secret_is_nowhere_to_be_seen(shared_daemon: Daemon) -> None:
    """Not in what was added, lists, events or the vault's report; and not on disk in the clear."""
    canary = "canary-of-a-hook-secret-5f1c"
    added = meshctl(
        shared_daemon, "webhook", "add", "quiet", "--signature", "github", "--from-stdin", stdin=canary
    )  # fmt: skip
    assert added.code == 0
    assert "/hooks/hook_" in added.out
    shown = meshctl(shared_daemon, "webhook", "show", "quiet", "--json")
    listed = meshctl(shared_daemon, "webhook", "list")
    tail = meshctl(shared_daemon, "tail-events", "--no-follow", "--since", "1h", "--json")
    verified = meshctl(shared_daemon, "vault", "verify", "--json")
    assert "webhook.added" in tail.out
    assert {row["table"] for row in json.loads(verified.out)["counts"]} >= {"webhooks"}
    told = added.out + added.err + shown.out + listed.out + tail.out + verified.out
    assert canary not in told
    on_disk = b"".join(
        file.read_bytes() for file in shared_daemon.home.rglob("*") if file.is_file()
    )
    assert canary.encode() not in on_disk


def test_too_much_is_429_and_says_when_again(daemon: Daemon) -> None:
    """By the org's quota, and the event is not lost: the sender tries again."""
    daemon.stop()
    daemon.env["MESHCTL_PUBLISH_RATE"] = "1"
    daemon.start()
    path = made(daemon, "busy")
    statuses = {}
    for n in range(20):
        answer = signed(daemon, path, b"{}", f"b-{n}")
        statuses.setdefault(answer.status, answer)
    assert set(statuses) == {202, 429}
    assert int(statuses[429].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "wrong",
    [{"name": "mesh"}, {"type": "mesh.own"}, {"signing": "short"}, {"signing": "no base64 at all"}, {"signature": "none"}],
)  # fmt: skip
def test_what_is_no_webhook_is_refused(shared_daemon: Daemon, wrong: dict[str, str]) -> None:
    body = {"name": "wrong", "signature": "standard", "signing": SECRET, **wrong}
    answer = shared_daemon.ask("POST", "/v1/webhooks", body)
    assert answer.status == 400
    assert body["signing"].encode() not in answer.body


def test_a_secret_is_said_by_reference_alone(shared_daemon: Daemon) -> None:
    """Nothing on a command line is a secret for long."""
    add = ("webhook", "add", "by-reference", "--signature", "standard")
    refused = meshctl(shared_daemon, *add, "--secret", SECRET)
    assert (refused.code, SECRET in refused.err) == (2, False)
    assert meshctl(shared_daemon, *add).code == 2
    assert meshctl(shared_daemon, *add, "--secret", "env:HOOK_SECRET", HOOK_SECRET=SECRET).code == 0
    path = shared_daemon.control("GET", "/v1/webhooks/by-reference")["url"].removeprefix(
        shared_daemon.url
    )
    assert signed(shared_daemon, path, b"{}").status == 202


@pytest.mark.parametrize(
    ("method", "more"), [("POST", "/pause"), ("DELETE", "")], ids=["paused", "removed"]
)
def test_a_webhook_that_goes_while_a_body_comes_takes_nothing(
    daemon: Daemon, method: str, more: str
) -> None:
    path, body = made(daemon, "goes"), b'{"a": 1}'
    headers = signing.headers([Secret(SECRET)], "msg_1", int(time.time()), body)
    parts = urlsplit(daemon.url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    link.putrequest("POST", path)
    for name, value in {**headers, "Content-Type": "application/json"}.items():
        link.putheader(name, value)
    link.putheader("Content-Length", str(len(body)))
    link.endheaders()
    until(lambda: _answered(daemon) == 1)
    daemon.control(method, f"/v1/webhooks/goes{more}")
    link.send(body)
    assert link.getresponse().status == 404
    link.close()
    assert stored(daemon, "webhook:goes") == []


def _answered(daemon: Daemon) -> int:
    """Requests over TCP that are being answered."""
    shown = {one["name"]: one for one in daemon.control("GET", "/v1/metrics")}
    samples = shown["meshd_http_requests"]["samples"]
    return sum(int(one["value"]) for one in samples if one["labels"] == {"door": "tcp"})
