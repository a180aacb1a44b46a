"""Tools on an operator's behalf: what is listed, shown, called, refused and recorded."""

from collections.abc import Iterator

import pytest
from msgspec import Raw

from meshd.services import tool_calls as module
from meshd.services.definitions import Definitions
from meshd.services.directory import ConnectionRow
from meshd.wire.call import RecordList
from meshd.wire.connection import ConnectionAdd
from meshd.wire.errors import (
    BadRequest,
    Conflict,
    Denied,
    NotFound,
    Unauthenticated,
    UpstreamFailed,
    UpstreamTimeout,
)
from meshd.wire.tool import ToolCall, ToolList, ToolRef
from tests.support.fault import silence, status
from tests.support.floors import Floors
from tests.support.upstream import Upstream, json_body, result, tool, upstream


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture
async def a(house: Floors, server: Upstream) -> str:
    """A connection called `a` with the tools echo (read-only) and write."""
    return (await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))).id


def call(tool_: str, arguments: bytes = b"{}", connection: str = "a") -> ToolCall:
    return ToolCall(connection=connection, tool=tool_, arguments=Raw(arguments))


@pytest.mark.parametrize(
    ("allow", "more", "seen"),
    [
        (["a"], {}, ["echo", "write"]),
        (["a/write"], {}, ["write"]),
        (["*/e*"], {}, ["echo"]),
        (["a/resource:*"], {}, []),
        (["a"], {"read_only": True}, ["echo"]),
        (["a/write"], {"read_only": True}, []),
        ([], {"role": "user"}, ["echo", "write"]),
    ],
    ids=str,
)
async def test_what_is_hidden_cannot_be_shown_or_called(
    house, a, server, allow, more, seen
) -> None:
    who = await house.key("k", allow=allow, **more)
    assert [t.name for t in await house.tool_calls.all(who, ToolList(connection="a"))] == seen
    assert [t.name for t in await house.tool_calls.all(who, ToolList())] == seen
    for name in ("echo", "write"):
        if name in seen:
            assert (
                await house.tool_calls.show(who, ToolRef(connection="a", tool=name))
            ).name == name
            assert b"done" in bytes(
                (await house.tool_calls.call(who, call(name), client="test")).result
            )
        else:
            with pytest.raises(NotFound):
                await house.tool_calls.show(who, ToolRef(connection="a", tool=name))
            with pytest.raises(Denied):
                await house.tool_calls.call(who, call(name), client="test")
    assert len(server.of("tools/call")) == len(seen)


async def test_a_key_without_any_grant_there(house: Floors, a: str) -> None:
    who = await house.key("k", allow=["self/*"])
    assert await house.tool_calls.all(who, ToolList()) == []
    for attempt in (
        house.tool_calls.all(who, ToolList(connection="a")),
        house.tool_calls.show(who, ToolRef(connection="a", tool="echo")),
        house.tool_calls.call(who, call("echo"), client="test"),
    ):
        with pytest.raises(Denied) as refused:
            await attempt
        assert refused.value.next == "meshctl key edit k --allow a"


async def test_a_wrong_name_suggests_nothing_to_a_key(house: Floors, a: str) -> None:
    """The nearest name may be one that it must not learn."""
    who = await house.key("k", allow=[])
    for name, principal, facts in (("aa", who, {}), ("aa", house.owner, {"did you mean": "a"})):
        with pytest.raises(NotFound) as refused:
            await house.tool_calls.call(principal, call("x", connection=name), client="test")
        assert refused.value.facts == facts


async def test_calls_are_recorded_refused_ones_too(house: Floors, a: str, server: Upstream) -> None:
    who = await house.key("k", allow=["a/echo"])
    done = await house.tool_calls.call(who, call("echo", b'{"token":"hunter2"}'), client="test")
    with pytest.raises(Denied):
        await house.tool_calls.call(who, call("write"), client="test")
    server.replies["tools/call"] = json_body(
        b'{"jsonrpc":"2.0","id":4,"error":{"code":-1,"message":"no"}}'
    )
    await house.records.flush()
    denied, ok = await house.records.all(house.owner, RecordList())
    assert (ok.id, ok.ok, ok.principal, ok.tool) == (done.call_id, True, "k", "echo")
    assert (denied.ok, denied.tool) == (False, "write")
    assert denied.error is not None
    assert denied.error.startswith("denied: ")
    assert b"hunter2" not in bytes((await house.records.show(house.owner, ok.id)).arguments)


async def test_arguments_pass_as_they_are(house: Floors, a: str, server: Upstream) -> None:
    raw = b'{ "n": 1.00e+2, "a":"\\u0041", "a": 2 }'
    await house.tool_calls.call(house.owner, call("echo", raw), client="test")
    assert raw in server.of("tools/call")[0].body
    for wrong in (b"[]", b"5", b"null", b'"x"'):
        with pytest.raises(BadRequest):
            await house.tool_calls.call(house.owner, call("echo", wrong), client="test")
    assert len(server.of("tools/call")) == 1


async def test_an_upstream_that_fails_or_refuses(house: Floors, a: str, server: Upstream) -> None:
    server.replies["tools/call"] = status("500 Oops")
    with pytest.raises(UpstreamFailed):
        await house.tool_calls.call(house.owner, call("echo"), client="test")
    await house.connections.enable(house.owner, "a", enabled=False)
    with pytest.raises(Conflict):
        await house.tool_calls.call(house.owner, call("echo"), client="test")
    await house.records.flush()
    assert [r.ok for r in await house.records.all(house.owner, RecordList())] == [False, False]


async def test_a_read_only_key_is_judged_by_the_present_annotation(
    house: Floors, a: str, server: Upstream
) -> None:
    """The list is asked for again once it is a minute old; not for what no grant covers."""
    who = await house.key("k", allow=["a/echo"], read_only=True)
    await house.tool_calls.call(who, call("echo"), client="test")
    lists = len(server.of("tools/list"))
    server.replies["tools/list"] = result(
        {"tools": [tool("echo"), tool("write", readOnlyHint=True)]}
    )
    house.clock.advance(61)
    await house.directory.refresh()
    with pytest.raises(Denied):
        await house.tool_calls.call(who, call("write"), client="test")
    assert len(server.of("tools/list")) == lists
    with pytest.raises(Denied, match="read-only"):
        await house.tool_calls.call(who, call("echo"), client="test")
    assert len(server.of("tools/list")) == lists + 1


@pytest.mark.parametrize(("loss", "error"), [("revoke", Unauthenticated), ("disable", Conflict)])
async def test_a_right_that_is_lost_while_the_list_is_fetched_is_lost(
    house: Floors,
    a: str,
    server: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    loss: str,
    error: type[Exception],
) -> None:
    """Fetching it may take long; what was allowed before counts no more."""
    who = await house.key("k", allow=["a/echo"], read_only=True)
    fetch = house.tools.relist
    house.clock.advance(61)
    await house.directory.refresh()

    async def slowly(row: ConnectionRow) -> Definitions:
        found = await fetch(row)
        if loss == "revoke":
            await house.keys.revoke(house.owner, "k")
        else:
            await house.connections.enable(house.owner, "a", enabled=False)
        return found

    monkeypatch.setattr(house.tools, "relist", slowly)
    with pytest.raises(error):
        await house.tool_calls.call(who, call("echo"), client="test")
    assert not server.of("tools/call")


async def test_a_read_only_key_calls_nothing_when_the_list_cannot_be_had(house, a, server) -> None:
    who = await house.key("k", allow=["a"], read_only=True)
    house.clock.advance(61)
    await house.directory.refresh()
    server.replies["tools/list"] = status("500 Oops")
    with pytest.raises(UpstreamFailed):
        await house.tool_calls.call(who, call("echo"), client="test")
    assert not server.of("tools/call")


async def test_one_bad_upstream_costs_the_list_only_its_freshness(
    house, a, server, monkeypatch
) -> None:
    """A hung one is waited for a moment, then its last list is shown."""
    monkeypatch.setattr(module, "LISTS_DEADLINE", 0.1)
    server.replies["tools/list"] = silence
    with upstream() as other:
        await house.connections.add(house.owner, ConnectionAdd(name="b", url=other.url))
        listed = await house.tool_calls.all(house.owner, ToolList())
        assert [(t.connection, t.name) for t in listed] == [
            ("a", "echo"), ("a", "write"), ("b", "echo"), ("b", "write"),
        ]  # fmt: skip
        with pytest.raises(UpstreamTimeout):
            await house.tools.refresh(house.directory.view.connections[a], within=0.1)
    assert house.connections.show(house.owner, "a").state == "failing"


async def test_pages_are_one_list(house: Floors, server: Upstream) -> None:
    def page(seen, wire) -> None:
        cursor = seen.message["params"].get("cursor")
        body = {"tools": [tool(f"t{cursor or 0}")]}
        if cursor != "2":
            body["nextCursor"] = str(int(cursor or 0) + 1)
        result(body)(seen, wire)

    server.replies["tools/list"] = page
    made = await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))
    assert made.tools == 3


@pytest.mark.parametrize(
    ("reply", "tools"),
    [
        (json_body(b'{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"no tools"}}'), 0),
        (json_body(b'{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"no"}}'), None),
        (result({"tools": {}}), None),
        (result([]), None),
        (result({"tools": [5, {"name": "a"}]}), 1),
    ],
)
async def test_what_a_server_may_answer_to_a_list(house, server, reply, tools) -> None:
    """A server may have no tools; nonsense is a failure, nonsense among tools is left out."""
    server.replies["tools/list"] = reply
    made = await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))
    assert made.tools == tools
    assert made.state == ("failing" if tools is None else "ready")


async def test_lists_outlive_a_restart_of_the_daemon(house: Floors, a: str) -> None:
    house.tools._known.clear()
    assert house.connections.show(house.owner, "a").tools is None
    await house.tools.load()
    assert house.connections.show(house.owner, "a").tools == 2
