"""Lists that an operator changes: clients of both eras who listen are told, wherever they listen."""

import json
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.support import changing_server, stdio_server, virtuals
from tests.support.daemon import Daemon
from tests.support.listening import heard, hearing
from tests.support.upstream import Reply, result, tool, upstream
from tests.support.virtuals import ERAS, listed

TOOLS = "notifications/tools/list_changed"
OTHERS = {f"notifications/{what}/list_changed" for what in ("prompts", "resources")}


def told(stream: HTTPResponse) -> None:
    """Hear of other lists until it is said of the tools, which is the last of one change."""
    while (found := heard(stream)["method"]) != TOOLS:
        assert found in OTHERS


@pytest.fixture
def release() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def silent(release: threading.Event) -> Reply:
    """A stream of server messages on which nothing comes."""

    def stream(_seen: Any, wire: Any) -> None:
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: open\n\n")
        release.wait(60)

    return stream


@pytest.fixture(params=["http", "stdio"])
def pinned(
    request: pytest.FixtureRequest, daemon: Daemon, tmp_path: Path, release: threading.Event
) -> Iterator[Callable[[str], None]]:
    """A pinned connection `notes` that lists `echo`; gives it another tool, which is learnt."""
    file = tmp_path / "tools.json"
    with upstream() as server:
        server.replies["GET"] = silent(release)

        def change(*names: str) -> None:
            tools = list(map(tool, names))
            server.replies["tools/list"] = result({"tools": tools})
            file.write_text(json.dumps(tools))

        change("echo")
        asked = {"name": "notes", "trust": "pinned"}
        if request.param == "http":
            daemon.control("POST", "/v1/connections", {**asked, "url": server.url})
        else:
            command = changing_server.command(file)
            daemon.control("POST", "/v1/stdio-connections", {**asked, "command": command})

        def learn(name: str) -> None:
            change("echo", name)
            daemon.control("POST", "/v1/connections/notes/test")

        yield learn
        release.set()


def approve(daemon: Daemon) -> None:
    shown = daemon.control("GET", "/v1/connections/notes/tool-changes")
    fingerprints = {one["tool"]: one["fingerprint"] for one in shown}
    daemon.control("POST", "/v1/connections/notes/approve-tools", {"fingerprints": fingerprints})


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("path", ["/notes", "/team", ""])
def test_an_approval_is_told(
    daemon: Daemon, pinned: Callable[[str], None], path: str, era: str
) -> None:
    """At the connection itself, and where it is part of something; the tool is listed then."""
    virtuals.make(daemon, "team", "notes")
    key = daemon.add_key("k")
    before = listed(daemon, path, key=key, era=era)
    with hearing(daemon, path, key, era) as stream:
        pinned("fresh")
        assert listed(daemon, path, key=key, era=era) == before
        approve(daemon)
        told(stream)
        after = listed(daemon, path, key=key, era=era)
    assert (len(before), [name.removeprefix("notes_") for name in after]) == (1, ["echo", "fresh"])


CHANGES = [
    ("POST", "virtuals/team/children", {"child": "late"}),
    ("POST", "virtuals/team/children", {"child": "one", "tools": ["echo"]}),
    ("POST", "virtuals/team/children", {"child": "one", "overrides": {"echo": {"name": "say"}}}),
    ("PATCH", "virtuals/team", {"mode": "smart_tool_selection"}),
    ("PATCH", "virtuals/team", {"naming": "plain"}),
    ("POST", "connections/one/disable", None),
    ("DELETE", "virtuals/team/children/late", None),
]


@pytest.mark.parametrize("era", ERAS)
def test_what_an_operator_changes_of_a_virtual_mcp_is_told(daemon: Daemon, era: str) -> None:
    """Each of it once, on a stream that goes on."""
    for name in ("one", "late"):
        daemon.connect(name, *stdio_server.command())
    virtuals.make(daemon, "team", "one")
    key = daemon.add_key("k")
    with hearing(daemon, "/team", key, era) as stream:
        for method, path, body in CHANGES:
            daemon.control(method, f"/v1/{path}", body)
            told(stream)


@pytest.mark.parametrize("era", ERAS)
def test_what_an_operator_changes_of_connections_is_told_at_the_default_one(
    daemon: Daemon, era: str
) -> None:
    daemon.connect("one", *stdio_server.command())
    key = daemon.add_key("k")
    with hearing(daemon, "", key, era) as stream:
        daemon.connect("late", *stdio_server.command())
        told(stream)
        for act in ("disable", "enable"):
            daemon.control("POST", f"/v1/connections/one/{act}")
            told(stream)
        daemon.control("DELETE", "/v1/connections/late")
        told(stream)
        assert {name.split("_")[0] for name in listed(daemon, "", key=key, era=era)} == {"one"}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("path", "word"), [("", "notes_"), ("/notes", "")])
def test_a_list_that_is_found_to_be_another_is_told(
    daemon: Daemon, release: threading.Event, path: str, word: str, era: str
) -> None:
    """Where the upstream never says so; at its own endpoint as where it is part of something."""
    with upstream() as server:
        server.replies["GET"] = silent(release)
        daemon.connect_http("notes", server.url)
        key = daemon.add_key("k")
        before = [f"{word}echo", f"{word}write"]
        assert listed(daemon, path, key=key, era=era) == before
        with hearing(daemon, path, key, era) as stream:
            server.replies["tools/list"] = result({"tools": [tool("other")]})
            daemon.control("POST", "/v1/connections/notes/test")
            told(stream)
            assert listed(daemon, path, key=key, era=era) == [f"{word}other"]
        release.set()
