"""One bad child costs only itself: lists are served without it, or from what it last said."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.upstream import Reply, Upstream, answer, result, tool, upstream
from tests.support.virtuals import ERAS, ask, call, listed


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends what hangs."""
    made = threading.Event()
    yield made
    made.set()


def hanging(release: threading.Event) -> Reply:
    """Never answers."""
    return lambda _seen, _wire: [release.wait(60)].clear()


def stale(daemon: Daemon, path: str, key: str) -> list[dict[str, Any]]:
    """The marks on a list of tools."""
    found = ask(daemon, path, "tools/list", key=key).json()["result"]
    return list(found.get("_meta", {}).get("meshctl/stale", []))


@pytest.fixture
def two(daemon: Daemon) -> Iterator[tuple[Upstream, Upstream]]:
    """`good` and `bad`, both well at the beginning and not asked yet."""
    with upstream() as good, upstream() as bad:
        good.replies = virtuals.full_replies("good")
        bad.replies = virtuals.full_replies("bad")
        daemon.connect_http("good", good.url)
        daemon.connect_http("bad", bad.url)
        yield good, bad


@pytest.mark.parametrize("era", ERAS)
def test_a_child_that_never_listed_is_left_out_and_named(
    daemon: Daemon, two: tuple[Upstream, Upstream], release: threading.Event, era: str
) -> None:
    """It is waited for once, and not again; calls to the other do not wait at all."""
    two[1].replies["prompts/list"] = hanging(release)
    key = daemon.add_key("k")
    assert listed(daemon, "", key=key, era=era, what="prompts") == ["good_greet"]
    began = time.monotonic()
    found = ask(daemon, "", "prompts/list", key=key, era=era).json()["result"]
    assert "isError" not in call(daemon, "", "good_look", key=key, era=era)["result"]
    assert time.monotonic() - began < 3
    (mark,) = found["_meta"]["meshctl/stale"]
    assert (mark["connection"], mark["age_s"]) == ("bad", None)
    assert mark["reason"]


def test_a_child_that_fails_is_served_from_its_last_list(
    daemon: Daemon, two: tuple[Upstream, Upstream]
) -> None:
    """With a mark that says why and how old it is; its calls fail, and typed."""
    key = daemon.add_key("k")
    names = listed(daemon, "", key=key)
    assert stale(daemon, "", key) == []
    two[1].replies |= dict.fromkeys(
        (*two[1].replies, "server/discover"), answer(b"", status="503 Unavailable")
    )
    error = call(daemon, "", "bad_look", key=key)["error"]
    assert error["data"]["code"].startswith("upstream")
    (mark,) = stale(daemon, "", key)
    assert (mark["connection"], listed(daemon, "", key=key)) == ("bad", names)
    assert mark["age_s"] >= 0
    assert "isError" not in call(daemon, "", "good_look", key=key)["result"]


def test_a_list_that_was_stored_is_there_after_a_restart(
    daemon: Daemon, two: tuple[Upstream, Upstream], release: threading.Event
) -> None:
    """Nobody waits for who hangs then."""
    key = daemon.add_key("k")
    names = listed(daemon, "", key=key)
    daemon.stop()
    two[1].replies |= dict.fromkeys(two[1].replies, hanging(release))
    daemon.start()
    began = time.monotonic()
    assert listed(daemon, "", key=key) == names
    assert time.monotonic() - began < 3


def test_a_newcomer_takes_nobodys_name(daemon: Daemon, two: tuple[Upstream, Upstream]) -> None:
    """Where names have no prefix: what collides later is withheld, also after a restart."""
    good, bad = two
    good.replies["tools/list"] = result({"tools": [tool("look")]})
    bad.replies["tools/list"] = result({"tools": [tool("mine")]})
    for name in ("good", "bad"):
        daemon.control("GET", f"/v1/tools?connection={name}")
    virtuals.make(daemon, "flat", "bad", "good", naming="plain")
    key = daemon.add_key("k")
    assert listed(daemon, "/flat", key=key) == ["mine", "look"]
    bad.replies["tools/list"] = result({"tools": [tool("mine"), tool("look")]})
    daemon.control("GET", "/v1/tools?connection=bad")
    assert listed(daemon, "/flat", key=key) == ["mine", "look"]
    found = ask(daemon, "/flat", "tools/list", key=key).json()["result"]["_meta"]
    assert found["meshctl/withheld"] == [{"name": "look", "connection": "bad", "own_name": "look"}]
    for start in (lambda: None, daemon.start):
        start()
        assert json.dumps("of good") in json.dumps(call(daemon, "/flat", "look", key=key))
        assert listed(daemon, "/flat", key=key) == ["mine", "look"]
        daemon.stop()


def test_a_child_that_is_disabled_or_removed_is_no_part_of_it(
    daemon: Daemon, two: tuple[Upstream, Upstream]
) -> None:
    virtuals.make(daemon, "team", "good", "bad")
    key = daemon.add_key("k")
    both = listed(daemon, "/team", key=key)
    daemon.control("POST", "/v1/connections/bad/disable")
    assert listed(daemon, "/team", key=key) == listed(daemon, "", key=key) == both[:2]
    daemon.control("POST", "/v1/connections/bad/enable")
    assert listed(daemon, "/team", key=key) == both
