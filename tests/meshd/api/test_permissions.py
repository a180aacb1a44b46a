"""The permission matrix: every call, over TCP, with every kind of key, against the declared right."""

import time
from datetime import UTC, datetime, timedelta
from string import Formatter

import pytest

from meshd.services.access import is_exact
from meshd.wire.calls import CALLS
from meshd.wire.calls.row import Call
from tests.support.daemon import Daemon

DENIED, UNKNOWN, STRANGER = 403, 404, 401
HOLDERS = [
    "nobody",
    "garbage",
    "expired",
    "no self",
    "exactly",
    "other call",
    "read only",
    "self/*",
    "noun/*",
    "admin",
    "owner",
]


@pytest.fixture(scope="module")
def keys(shared_daemon: Daemon) -> dict[str, str]:
    """One key of each kind that does not depend on the call; `expired` has just expired."""
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    made = {
        "expired": shared_daemon.add_key("expired", "*", "self", "self/key.add", expires=soon),
        "no self": shared_daemon.add_key("no-self", "*"),
        "self/*": shared_daemon.add_key("every", "self"),
        "admin": shared_daemon.add_key("admin", role="admin"),
        "owner": shared_daemon.add_key("owner", role="owner"),
        "garbage": "mshs_garbage",
    }
    end = datetime.fromisoformat(soon)
    while datetime.now(UTC) <= end:
        time.sleep(0.02)
    return made


def holder_key(daemon: Daemon, keys: dict[str, str], holder: str, call: Call) -> str | None:
    if holder == "nobody" or holder in keys:
        return keys.get(holder)
    noun = call.name.partition(".")[0]
    allow, more = {
        "exactly": (f"self/{call.name}", {}),
        "other call": (f"self/{next(c.name for c in CALLS if c is not call)}", {}),
        "read only": (f"self/{call.name}", {"read_only": True}),
        "noun/*": (f"self/{noun}*", {}),
    }[holder]
    name = (
        f"{holder}-{call.name}".replace(" ", "-")
        .replace(".", "-")
        .replace("/", "")
        .replace("*", "")
        .replace("_", "-")
    )
    return daemon.add_key(name[:40], allow, **more)


def may(call: Call, holder: str) -> bool:
    """What the row's right says about a holder that is known."""
    if call.right == "target":
        return True
    by_pattern = not is_exact(call)
    by_role = call.right == "org" and by_pattern
    return {
        "no self": False,
        "exactly": True,
        "other call": False,
        "read only": call.method == "GET",
        "self/*": by_pattern,
        "noun/*": by_pattern,
        "admin": by_role or call.right == "own",
        "owner": by_role or call.owner_only or call.right == "own",
    }[holder]


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_the_matrix(shared_daemon: Daemon, keys: dict[str, str], call: Call, holder: str) -> None:
    """A known holder with the right comes as far as the request itself, which names nothing real."""
    names = [name for _, name, _, _ in Formatter().parse(call.path) if name]
    path = call.path.format(**dict.fromkeys(names, "no-such-thing"))
    path += "?follow=false" if call.streams else ""
    body = b"" if call.method in {"GET", "DELETE"} else b'{"no such field":1}'
    key = holder_key(shared_daemon, keys, holder, call)
    answer = shared_daemon.tcp(call.method, path, body or None, key=key)
    if holder in {"nobody", "garbage", "expired"}:
        assert answer.status == STRANGER
        assert answer.headers["www-authenticate"].startswith("Bearer")
    elif call.socket_only:
        assert answer.status == UNKNOWN
        assert answer.json()["error"]["message"] == "there is no such call"
    elif may(call, holder):
        reached = 404 if names and not body else 200 if not body else 400
        assert answer.status == reached, answer.body
    else:
        assert answer.status == DENIED, answer.body
        assert answer.json()["error"]["facts"] == {"call": call.name}


def test_a_stream_over_tcp_ends_when_its_key_is_revoked(shared_daemon: Daemon) -> None:
    """At once, with the reason as its last line."""
    import http.client
    import json
    from urllib.parse import urlsplit

    key = shared_daemon.add_key("follower", "self/event.tail")
    parts = urlsplit(shared_daemon.url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    link.request("GET", "/v1/tail/events?after=0", headers={"Authorization": f"Bearer {key}"})
    stream = link.getresponse()
    for line in iter(
        stream.readline, b""
    ):  # what is read before a revocation counts may tell of it
        if b'"name":"follower"' in line.replace(b" ", b""):
            break
    shared_daemon.control("DELETE", "/v1/keys/follower")
    lines = [line for line in stream.read().splitlines() if line]
    link.close()
    assert json.loads(lines[-1])["error"]["code"] == "unauthenticated"
    assert b"key.revoked" not in b"".join(lines)
