"""Virtual MCPs as an org's operator makes them: names, children, scopes, and what is refused."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from meshd.services import virtuals as module
from meshd.wire.connection import ConnectionAdd, ConnectionEdit
from meshd.wire.errors import BadRequest, Conflict, Denied, NotFound
from meshd.wire.key import KeyAdd, KeyEdit
from meshd.wire.virtual import (
    ToolOverride,
    ToolOverrideEdit,
    Virtual,
    VirtualAttach,
    VirtualCreate,
    VirtualEdit,
)
from tests.support.floors import Floors, floors
from tests.support.upstream import Upstream, result, upstream

SCHEMA = {
    "type": "object",
    "properties": {"repo": {"type": "string"}, "labels": {"type": "array"}},
    "required": ["repo"],
}


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as running:
        tools = [{"name": name, "inputSchema": SCHEMA} for name in ("create", "search")]
        running.replies["tools/list"] = result({"tools": tools})
        yield running


@pytest.fixture
async def shop(house: Floors, server: Upstream) -> Floors:
    """Two connections, `github` and `jira`, with the tools `create` and `search` each."""
    for name in ("github", "jira"):
        await house.connections.add(house.owner, ConnectionAdd(name=name, url=server.url))
    return house


async def create(house: Floors, name: str, *children: str, **more: Any) -> Virtual:
    asked = VirtualCreate(name=name, children=list(children), **more)
    return await house.virtuals.create(house.owner, asked)


async def attach(house: Floors, virtual: str, child: str, **more: Any) -> Virtual:
    asked = VirtualAttach(virtual=virtual, child=child, **more)
    return await house.virtuals.attach(house.owner, asked)


async def test_one_is_made_of_names_and_ids_and_shown_as_it_is(shop: Floors) -> None:
    jira = shop.connections.show(shop.owner, "jira")
    made = await create(shop, "Work", "github", jira.id, instructions="Ask first.")
    assert (made.name, made.mode, made.naming, made.enabled) == (
        "work", "passthrough", "prefixed", True,
    )  # fmt: skip
    assert [(child.name, child.kind, child.tools) for child in made.children] == [
        ("github", "connection", None), ("jira", "connection", None),
    ]  # fmt: skip
    assert (made.tools, made.maker, made.instructions) == (4, "ada", "Ask first.")
    assert await shop.virtuals.all(shop.owner) == [made]
    assert shop.virtuals.show(shop.owner, made.id) == made
    assert (await shop.kinds())[-1] == "virtual.created"


async def test_children_keep_their_order_and_say_later_only_what_changes(shop: Floors) -> None:
    await create(shop, "work", "jira")
    await attach(shop, "work", "github", tools=["create"], prompts=[])
    await attach(shop, "work", "jira", resources=["file:*"])
    after = await attach(shop, "work", "github", resources=[])
    jira, github = after.children
    assert (jira.name, jira.tools, jira.resources) == ("jira", None, ["file:*"])
    assert (github.tools, github.resources, github.prompts) == (["create"], [], [])
    assert after.tools == 3
    widened = await attach(shop, "work", "github", tools=["x", "*"])
    assert widened.children[1].tools is None
    left = await shop.virtuals.detach(shop.owner, "work", "jira")
    assert [child.name for child in left.children] == ["github"]
    again = await attach(shop, "work", "jira")
    assert [child.name for child in again.children] == ["github", "jira"]


async def test_of_an_override_what_is_not_said_stays(shop: Floors) -> None:
    await create(shop, "work", "github")
    edit = ToolOverrideEdit(name="file_bug", pinned={"repo": Raw(b'"a/b"')}, hidden=["labels"])
    await attach(shop, "work", "github", overrides={"create": edit})
    edit = ToolOverrideEdit(description="Files a bug.")
    shown = await attach(shop, "work", "github", overrides={"create": edit})
    assert shown.children[0].overrides == {
        "create": ToolOverride(
            name="file_bug", description="Files a bug.", hidden=["labels"],
            pinned={"repo": Raw(b'"a/b"')},
        )
    }  # fmt: skip
    shown = await attach(shop, "work", "github", overrides={"create": None})
    assert shown.children[0].overrides == {}


@pytest.mark.parametrize(
    ("tool", "edit", "why"),
    [
        ("crate", ToolOverrideEdit(name="x"), "no tool"),
        ("create", ToolOverrideEdit(hidden=["lables"]), "takes no argument"),
        ("create", ToolOverrideEdit(hidden=["repo"]), "needs a value"),
        ("create", ToolOverrideEdit(name="with space"), "not a name"),
        ("create", ToolOverrideEdit(name="n" * 129), "not a name"),
        ("create", ToolOverrideEdit(description="n" * 2001), "over 2000"),
        ("create", ToolOverrideEdit(pinned={"repo": Raw(b'"' + b"n" * 2**18 + b'"')}), "over 256"),
        ("create", ToolOverrideEdit(pinned={"repo": Raw(b'"\xff"')}), "not valid JSON"),
        ("create", ToolOverrideEdit(pinned={"repo": Raw(b"[" * 5000 + b"]" * 5000)}), "not valid"),
        ("create", ToolOverrideEdit(pinned={str(n): Raw(b"1") for n in range(51)}), "at most 50"),
    ],
)
async def test_an_override_that_cannot_be(
    shop: Floors, tool: str, edit: ToolOverrideEdit, why: str
) -> None:
    await create(shop, "work", "github")
    with pytest.raises(BadRequest, match=why):
        await attach(shop, "work", "github", overrides={tool: edit})
    assert shop.virtuals.show(shop.owner, "work").children[0].overrides == {}


async def test_a_tool_that_is_not_listed_yet_can_be_overridden(house: Floors) -> None:
    """A server may be out of reach when its part is put together."""
    nowhere = ConnectionAdd(name="later", url="http://127.0.0.1:1/mcp")
    await house.connections.add(house.owner, nowhere)
    edit = ToolOverrideEdit(name="x", hidden=["y"])
    await create(house, "work")
    shown = await attach(house, "work", "later", overrides={"create": edit})
    assert shown.children[0].overrides["create"].name == "x"
    assert shown.tools == 0


@pytest.mark.parametrize("patterns", [[""], ["x" * 301], ["a\nb"], ["p"] * 101])
async def test_patterns_that_cannot_be(shop: Floors, patterns: list[str]) -> None:
    await create(shop, "work")
    with pytest.raises(BadRequest, match="does not select"):
        await attach(shop, "work", "github", tools=patterns)


@pytest.mark.parametrize("pattern", ["resource:*", "prompt:x"])
async def test_a_pattern_of_tools_is_never_a_grant_on_something_else(
    shop: Floors, pattern: str
) -> None:
    """With a grant on resources nobody attaches tools that are called like it."""
    who = await shop.key("ide", allow=[f"github/{pattern}", "self/virtual.*"])
    made = await shop.virtuals.create(who, VirtualCreate(name="mine"))
    asked = VirtualAttach(
        virtual=made.id, child="github", tools=[pattern], resources=[], prompts=[]
    )
    with pytest.raises(BadRequest, match="no pattern of tools"):
        await shop.virtuals.attach(who, asked)


async def test_connections_and_virtual_mcps_share_their_names(shop: Floors) -> None:
    await create(shop, "work")
    for refused in ("github", "work", "WORK"):
        with pytest.raises(Conflict, match="exists already"):
            await create(shop, refused)
    for refused in ("self", "mcp", "", "with_underscore"):
        with pytest.raises(BadRequest):
            await create(shop, refused)
    with pytest.raises(Conflict, match='virtual MCP "work" exists already'):
        await shop.connections.add(
            shop.owner, ConnectionAdd(name="work", url="http://127.0.0.1:1/")
        )
    with pytest.raises(Conflict, match='virtual MCP "work" exists already'):
        await shop.connections.edit(shop.owner, ConnectionEdit(connection="jira", name="work"))
    with pytest.raises(Conflict, match='connection "jira" exists already'):
        await shop.virtuals.edit(shop.owner, VirtualEdit(virtual="work", name="jira"))
    renamed = await shop.virtuals.edit(shop.owner, VirtualEdit(virtual="work", name="play"))
    assert renamed.name == "play"
    await shop.connections.edit(shop.owner, ConnectionEdit(connection="jira", name="work"))


async def test_none_contains_itself_in_any_depth(shop: Floors) -> None:
    await create(shop, "a", "github")
    await create(shop, "b", "a")
    await create(shop, "c", "b")
    for outer, inner in (("a", "a"), ("a", "b"), ("a", "c"), ("b", "c")):
        with pytest.raises(Conflict, match="contain itself"):
            await attach(shop, outer, inner)
    for name in ("self", "elsewhere"):
        with pytest.raises(NotFound):
            await attach(shop, "a", name)
    # The same below two others is no circle.
    await attach(shop, "c", "a")


async def test_how_deep_and_how_wide_is_bounded(
    shop: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(shop, "d1", "github", "jira")
    for depth in (2, 3, 4):
        await create(shop, f"d{depth}", f"d{depth - 1}")
    with pytest.raises(Conflict, match="5 deep"):
        await create(shop, "d5", "d4")
    await create(shop, "d0", "github")
    with pytest.raises(Conflict, match='"d4" would have virtual MCPs within each other 5 deep'):
        await attach(shop, "d1", "d0")
    monkeypatch.setattr("meshd.services.virtual_graph.MAX_WAYS", 3)
    with pytest.raises(Conflict, match="4 connections"):
        await create(shop, "wide", "d1", "d2")
    monkeypatch.setattr(module, "MAX_CHILDREN", 1)
    with pytest.raises(Conflict, match="at most 1 children"):
        await attach(shop, "d4", "github")
    with pytest.raises(Conflict, match="at most 1 children"):
        await create(shop, "two", "github", "jira")
    monkeypatch.setattr(module, "MAX_OF_AN_ORG", 5)
    with pytest.raises(Conflict, match="at most 5 virtual"):
        await create(shop, "more")


async def test_plain_names_that_collide_are_refused_and_both_are_named(shop: Floors) -> None:
    with pytest.raises(Conflict, match='would be called "create"') as refused:
        await create(shop, "work", "github", "jira", naming="plain")
    assert refused.value.facts == {"they are": "github/create and jira/create"}
    await create(shop, "work", "github", "jira")
    with pytest.raises(Conflict, match='would be called "create"'):
        await shop.virtuals.edit(shop.owner, VirtualEdit(virtual="work", naming="plain"))
    await attach(shop, "work", "jira", tools=["create"])
    with pytest.raises(Conflict, match='would be called "create"'):
        await shop.virtuals.edit(shop.owner, VirtualEdit(virtual="work", naming="plain"))
    edit = ToolOverrideEdit(name="ticket")
    await attach(shop, "work", "jira", overrides={"create": edit})
    plain = await shop.virtuals.edit(shop.owner, VirtualEdit(virtual="work", naming="plain"))
    assert plain.tools == 3
    with pytest.raises(Conflict, match='would be called "search"'):
        await attach(shop, "work", "jira", overrides={"create": ToolOverrideEdit(name="search")})


async def test_a_collision_further_up_is_seen_below(shop: Floors) -> None:
    await create(shop, "inner", "github", naming="plain")
    await create(shop, "outer", naming="plain")
    await attach(shop, "outer", "jira", tools=["search"])
    await attach(shop, "inner", "github", tools=["create"])
    await attach(shop, "outer", "inner")
    with pytest.raises(Conflict, match='of "outer" would be called "search"'):
        await attach(shop, "inner", "github", tools=["*"])


async def test_two_tools_of_one_child_cannot_be_renamed_alike(shop: Floors) -> None:
    await create(shop, "work", "github")
    edit = ToolOverrideEdit(name="search")
    with pytest.raises(Conflict, match='would be called "github_search"'):
        await attach(shop, "work", "github", overrides={"create": edit})


async def test_what_is_used_is_not_removed_and_says_by_whom(shop: Floors) -> None:
    await create(shop, "work", "github")
    await create(shop, "all", "work")
    for remove, name, user in (
        (shop.connections.remove, "github", "work"), (shop.virtuals.remove, "work", "all"),
    ):  # fmt: skip
        with pytest.raises(Conflict, match="part of a virtual MCP") as refused:
            await remove(shop.owner, name)
        assert refused.value.facts == {"used by": user}
        assert refused.value.next == f"meshctl virtual detach {user} {name}"
        await shop.virtuals.detach(shop.owner, user, name)
    await shop.connections.remove(shop.owner, "github")
    await shop.virtuals.remove(shop.owner, "work")
    assert [row.name for row in await shop.virtuals.all(shop.owner)] == ["all"]


async def test_grants_follow_a_rename_and_end_with_it(shop: Floors) -> None:
    made = await create(shop, "work", "github")
    key = await shop.keys.add(shop.owner, KeyAdd(name="ide", allow=["work/github_*", "github/a"]))
    assert key.grants == ["work/github_*", "github/a"]
    assert made.id in key.permissions
    await shop.virtuals.edit(shop.owner, VirtualEdit(virtual="work", name="play"))
    assert shop.keys.show(shop.owner, "ide").grants == ["play/github_*", "github/a"]
    await shop.virtuals.remove(shop.owner, "play")
    assert shop.keys.show(shop.owner, "ide").grants == ["github/a"]
    with pytest.raises(NotFound, match="connection or virtual MCP"):
        await shop.keys.edit(shop.owner, KeyEdit(key="ide", allow=["play"]))


async def test_a_key_attaches_what_it_may_use_itself_and_no_more(shop: Floors) -> None:
    who = await shop.key("ide", allow=["github/cr*", "jira", "self/virtual.*"])
    made = await shop.virtuals.create(who, VirtualCreate(name="mine", children=["jira"]))
    assert made.maker == "ide"
    row = shop.directory.view.virtuals[made.id]
    assert dict(row.maker.permissions) == dict(who.permissions)

    def asked(virtual: str, **more: Any) -> VirtualAttach:
        return VirtualAttach(virtual=virtual, child="github", **more)

    with pytest.raises(Denied, match="ide cannot give github/"):
        await shop.virtuals.create(who, VirtualCreate(name="more", children=["github"]))
    for refused in ({}, {"tools": ["create"]}, {"tools": ["c*"], "resources": [], "prompts": []}):
        with pytest.raises(Denied, match="ide cannot give github/"):
            await shop.virtuals.attach(who, asked("mine", **refused))
    allowed = {"tools": ["create"], "resources": [], "prompts": []}
    after = await shop.virtuals.attach(who, asked("mine", **allowed))
    assert after.tools == 3
    # What is there already counts as well: nobody widens by leaving out.
    await create(shop, "theirs")
    await attach(shop, "theirs", "github", tools=["search"])
    with pytest.raises(Denied, match="github/search"):
        await shop.virtuals.attach(who, asked("theirs", resources=[], prompts=[]))
    nested = VirtualAttach(virtual="mine", child="theirs")
    with pytest.raises(Denied, match=r"theirs/\*"):
        await shop.virtuals.attach(who, nested)


async def test_what_a_key_attaches_does_not_outlive_it(shop: Floors) -> None:
    who = await shop.key("ide", allow=["jira", "self/virtual.*"], expires="1d")
    await create(shop, "lasting")
    with pytest.raises(Denied, match="expires"):
        await shop.virtuals.attach(who, VirtualAttach(virtual="lasting", child="jira"))
    made = await shop.virtuals.create(who, VirtualCreate(name="mine", children=["jira"]))
    assert shop.directory.view.virtuals[made.id].maker.expires_at == who.expires_at


async def test_switching_off_and_on_is_told_once(shop: Floors) -> None:
    await create(shop, "work", "github")
    for enabled in (False, False, True, True):
        shown = await shop.virtuals.enable(shop.owner, "work", enabled=enabled)
        assert shown.enabled is enabled
    assert [kind for kind in await shop.kinds() if kind.startswith("virtual.")] == [
        "virtual.created", "virtual.disabled", "virtual.enabled",
    ]  # fmt: skip


async def test_texts_have_an_end(shop: Floors) -> None:
    for about in (
        {"description": "x" * 2001},
        {"instructions": "x" * 16385},
        {"description": "\0"},
    ):
        with pytest.raises(BadRequest):
            await create(shop, "work", **about)
    await create(shop, "work", description="Work.", instructions="Ask.")
    cleared = await shop.virtuals.edit(
        shop.owner, VirtualEdit(virtual="work", description="", instructions="")
    )
    assert (cleared.description, cleared.instructions) == ("", None)


async def test_only_a_child_is_taken_out(shop: Floors) -> None:
    await create(shop, "work", "github")
    with pytest.raises(NotFound, match='"jira" is not part of "work"'):
        await shop.virtuals.detach(shop.owner, "work", "jira")


# What another daemon did between the look and the write. On both databases.


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("dsn")) if request.param == "postgres" else ""


@pytest.fixture
async def apart(url: str, tmp_path: Path, server: Upstream) -> AsyncIterator[Floors]:
    async with floors(tmp_path, url) as opened:
        for name in ("github", "jira"):
            await opened.connections.add(opened.owner, ConnectionAdd(name=name, url=server.url))
        await create(opened, "a", "github")
        await create(opened, "b")
        yield opened


def unseen(
    house: Floors, monkeypatch: pytest.MonkeyPatch, other: Callable[[], Awaitable[object]]
) -> None:
    """Let `other` change the database at the last moment before the next write."""
    write = house.db.write

    async def later(*steps: Any) -> Any:
        monkeypatch.setattr(house.db, "write", write)
        # The lock that keeps changes of one daemon apart is not there between two.
        monkeypatch.setattr(house.directory, "_changing", type(house.directory._changing)())
        await other()
        return await write(*steps)

    monkeypatch.setattr(house.db, "write", later)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("attach a b", "attach b a"),  # a circle
        ("attach a jira", "edit a"),
        ("create x", "connect x"),
        ("connect x", "create x"),
        ("rename a x", "connect x"),
        ("attach b jira", "disconnect jira"),
        ("disconnect jira", "attach b jira"),
        ("remove b", "attach a b"),
        ("attach a b", "remove b"),
    ],
)
async def test_two_daemons_never_make_what_neither_would(
    apart: Floors, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    house, who = apart, apart.owner
    acts: dict[str, Callable[..., Awaitable[object]]] = {
        "attach": lambda outer, inner: attach(house, outer, inner),
        "edit": lambda name: house.virtuals.edit(who, VirtualEdit(virtual=name, description="d")),
        "rename": lambda name, new: house.virtuals.edit(who, VirtualEdit(virtual=name, name=new)),
        "create": lambda name: create(house, name),
        "remove": lambda name: house.virtuals.remove(who, name),
        "connect": lambda name: house.connections.add(
            who, ConnectionAdd(name=name, url="http://127.0.0.1:1/mcp")
        ),
        "disconnect": lambda name: house.connections.remove(who, name),
    }

    def act(line: str) -> Awaitable[object]:
        verb, *names = line.split()
        return acts[verb](*names)

    unseen(house, monkeypatch, lambda: act(second))
    with pytest.raises(Conflict, match="changed meanwhile"):
        await act(first)
