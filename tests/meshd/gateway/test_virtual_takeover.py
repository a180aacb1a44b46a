"""No child of a virtual MCP takes what is another's, and no wait for one lets in who is out by then."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import socket
from typing import Any

import pytest

from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.upstream import Seen, Upstream, result, upstream
from tests.support.virtuals import ERAS, ask, listed

SHARED = "file:///shared"


@pytest.fixture
def first() -> Iterator[Upstream]:
    with upstream() as running:
        running.replies = virtuals.full_replies("first")
        yield running


@pytest.fixture
def later() -> Iterator[Upstream]:
    with upstream() as running:
        running.replies = virtuals.full_replies("later")
        yield running


def resources(*uris: str) -> Any:
    """A list of these."""
    return result({"resources": [{"uri": uri, "name": "r"} for uri in uris]})


def templates(*found: str) -> Any:
    """A list of these."""
    return result({"resourceTemplates": [{"uriTemplate": one, "name": "t"} for one in found]})


def read(daemon: Daemon, uri: str, key: str, era: str) -> str:
    """What a resource says at the default virtual MCP."""
    found = ask(daemon, "", "resources/read", {"uri": uri}, key=key, era=era).json()
    return str(found["result"]["contents"][0]["text"])


@pytest.mark.parametrize("era", ERAS)
def test_a_later_connection_takes_no_uri_and_keeps_nobody_from_its_own(
    daemon: Daemon, first: Upstream, later: Upstream, era: str
) -> None:
    """Whatever their names are, and after a restart as well."""
    first.replies["resources/list"] = resources(SHARED)
    later.replies["resources/list"] = resources(SHARED)
    later.replies["resources/templates/list"] = templates("{+all}", "{a}b{+all}")
    daemon.connect_http("zzz", first.url)
    daemon.connect_http("aaa", later.url)
    everything = daemon.add_key("everything")
    narrow = daemon.add_key("narrow", "aaa/resource:*")
    for _ in range(2):
        for _ in range(2):
            listed(daemon, "", key=everything, era=era, what="resourceTemplates")
            assert listed(daemon, "", key=everything, era=era, what="resources") == [SHARED]
            assert read(daemon, SHARED, everything, era) == "of first"
            assert read(daemon, "db://first/users", everything, era) == "of first"
            assert read(daemon, SHARED, narrow, era) == "of later"
            assert listed(daemon, "", key=narrow, era=era, what="resources") == [SHARED]
        daemon.stop()
        daemon.start()
    shown = ask(daemon, "", "resources/templates/list", key=everything, era=era).json()["result"]
    assert [one["uriTemplate"] for one in shown["resourceTemplates"]] == ["db://first/{table}"]
    withheld = shown["_meta"]["meshctl/withheld"]
    assert [one["name"] for one in withheld] == ["{+all}", "{a}b{+all}"]


def test_a_key_that_is_revoked_while_a_child_answers_gets_nothing(
    daemon: Daemon, first: Upstream
) -> None:
    """The list was waited for; what follows is decided by what is so then."""
    asked, release = threading.Event(), threading.Event()
    whole = first.replies["prompts/list"]

    def slow(seen: Seen, wire: socket) -> None:
        asked.set()
        release.wait(60)
        whole(seen, wire)

    first.replies["prompts/list"] = slow
    daemon.connect_http("first", first.url)
    key = daemon.add_key("shortlived")
    with ThreadPoolExecutor(1) as pool:
        try:
            waiting = pool.submit(ask, daemon, "", "prompts/get", {"name": "first_greet"}, key=key)
            assert asked.wait(60)
            daemon.control("DELETE", "/v1/keys/shortlived")
        finally:
            release.set()
        answer = waiting.result(60)
    assert answer.status == 401
    assert first.of("prompts/get") == []
