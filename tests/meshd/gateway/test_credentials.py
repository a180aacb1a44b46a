"""Which credentials open the door: only a whole, live key; and how fast a dead one is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon
from tests.support.wait import until


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> str:
    """A key for a connection "stand-in"."""
    shared_daemon.connect("stand-in", *stdio_server.command())
    return shared_daemon.add_key("live")


def assert_unauthenticated(answer: Answer) -> None:
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def changed(text: str, at: int) -> str:
    """The text with another letter in one place."""
    other = "A" if text[at] != "A" else "B"
    return text[:at] + other + text[at + 1 :]


@pytest.mark.parametrize("path", ["/mcp/stand-in", "/mcp/unknown", "/v1/status", "/v1/unknown"])
def test_no_key_is_401_everywhere(shared_daemon: Daemon, key: str, path: str) -> None:
    """Also where nothing is: without a key nobody learns what there is."""
    assert_unauthenticated(shared_daemon.tcp("GET", path))
    assert_unauthenticated(shared_daemon.tcp("POST", path, {}))


@pytest.mark.parametrize(
    "spoiled",
    [
        pytest.param(lambda _: "garbage", id="garbage"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda key: key[:-1], id="cut"),
        pytest.param(lambda key: key + "0", id="longer"),
        pytest.param(lambda key: changed(key, -1), id="checksum"),
        pytest.param(lambda key: changed(key, 20), id="random part"),
        pytest.param(lambda key: key.replace("mshs_", "mshu_"), id="kind"),
        pytest.param(str.swapcase, id="case"),
        pytest.param(lambda _: "\xff\xfe", id="no text"),
        pytest.param(lambda _: "x" * 7000, id="long"),
    ],
)
def test_what_is_no_live_key_is_401(
    shared_daemon: Daemon, key: str, spoiled: Callable[[str], str]
) -> None:
    """Whatever is wrong with it."""
    assert shared_daemon.rpc("stand-in", "ping", key=key).status == 200
    assert_unauthenticated(shared_daemon.rpc("stand-in", "ping", key=spoiled(key)))


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearer:", ""])
def test_only_bearer_carries_a_key(shared_daemon: Daemon, key: str, scheme: str) -> None:
    """Other schemes do not, nor do a query and a cookie."""
    given = {"Authorization": f"{scheme} {key}".strip()}
    assert_unauthenticated(shared_daemon.tcp("GET", "/mcp/stand-in", **given))
    assert_unauthenticated(shared_daemon.tcp("GET", f"/mcp/stand-in?key={key}", Cookie=f"k={key}"))


def test_the_scheme_may_be_written_in_any_case(shared_daemon: Daemon, key: str) -> None:
    """RFC 9110, section 11.1."""
    answer = shared_daemon.tcp(
        "POST", "/mcp/stand-in", {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        Authorization=f"bEARER {key}",
    )  # fmt: skip
    assert answer.status == 200


def test_a_revoked_key_stops_at_once(shared_daemon: Daemon, key: str) -> None:
    """The request after the acknowledgement is refused already: no poll, no cache."""
    secret = shared_daemon.add_key("leaving")
    assert shared_daemon.rpc("stand-in", "ping", key=secret).status == 200
    shared_daemon.control("DELETE", "/v1/keys/leaving")
    assert_unauthenticated(shared_daemon.rpc("stand-in", "ping", key=secret))


def test_a_rotated_key_stops_at_once(shared_daemon: Daemon, key: str) -> None:
    """And its successor works."""
    before = shared_daemon.add_key("turning")
    after = shared_daemon.control("POST", "/v1/keys/turning/rotate")["key"]
    assert_unauthenticated(shared_daemon.rpc("stand-in", "ping", key=before))
    assert shared_daemon.rpc("stand-in", "ping", key=after).status == 200


def test_a_key_expires(shared_daemon: Daemon, key: str) -> None:
    """It works until its moment, and not after."""
    moment = datetime.now(UTC) + timedelta(seconds=1)
    secret = shared_daemon.add_key("short", expires=moment.isoformat())
    answers: list[tuple[datetime, int]] = []

    def refused() -> bool:
        began = datetime.now(UTC)
        answers.append((began, shared_daemon.rpc("stand-in", "ping", key=secret).status))
        return answers[-1][1] == 401

    until(refused)
    assert datetime.now(UTC) >= moment, "it was refused before its moment"
    assert {status for _, status in answers[:-1]} <= {200}
    assert all(began < moment for began, status in answers if status == 200)
