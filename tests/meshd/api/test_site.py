"""The control socket of a real daemon: its owner's alone, and no browser's."""

from pathlib import Path

import pytest

from tests.support.daemon import Daemon


def test_the_socket_is_closed_to_others(shared_daemon: Daemon) -> None:
    path = Path(shared_daemon.socket)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "meshd"}, 200),
        ({"Host": "localhost"}, 421),
        ({"Host": "127.0.0.1:3000"}, 421),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Referer": "http://x/"}, 403),
    ],
    ids=str,
)
def test_what_a_browser_would_send_is_refused(shared_daemon: Daemon, headers, status: int) -> None:
    answer = shared_daemon.ask("GET", "/v1/status", **headers)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"


def test_acting_as_a_key_is_having_its_rights_only(shared_daemon: Daemon) -> None:
    shared_daemon.add_key("acted", "self/whoami")
    shown = shared_daemon.ask("GET", "/v1/whoami", None, Meshctl_Key="acted")
    assert (shown.status, shown.json()["kind"], shown.json()["name"]) == (200, "key", "acted")
    assert shared_daemon.ask("GET", "/v1/keys", None, Meshctl_Key="acted").status == 403
    assert shared_daemon.ask("GET", "/v1/whoami", None, Meshctl_Key="nobody").status == 404
    assert shared_daemon.ask("GET", "/v1/whoami", None, Meshctl_Key="").status == 404


def test_answers_are_not_kept_by_anyone(shared_daemon: Daemon) -> None:
    answer = shared_daemon.ask("GET", "/v1/status")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["meshctl-version"]
