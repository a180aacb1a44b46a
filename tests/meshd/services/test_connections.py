"""Connections on a real database, against a server that records what it is told."""

import asyncio
from collections.abc import Iterator

import pytest

from meshd.store.db import Step
from meshd.wire.connection import (
    ConnectionAdd,
    ConnectionAddStdio,
    ConnectionEdit,
    ConnectionEditStdio,
)
from meshd.wire.errors import BadRequest, Conflict, NeedsLogin, NotFound, UpstreamFailed
from tests.support.fault import status
from tests.support.floors import Floors
from tests.support.upstream import Upstream, result, tool, upstream

NOWHERE = "http://127.0.0.1:1/mcp"


@pytest.fixture
def server() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


async def test_a_new_connection_is_looked_at_at_once(house: Floors, server: Upstream) -> None:
    made = await house.connections.add(
        house.owner,
        ConnectionAdd(name="GitHub", url=server.url + "?key=hunter2", headers={"X-Team": "blue"}),
    )
    assert (made.name, made.state, made.tools, made.transport) == ("github", "ready", 2, "http")
    assert (made.url, made.headers) == (server.url + "?…", ["X-Team"])
    asked = server.of("tools/list")[0]
    assert asked.target == "/mcp?key=hunter2"
    assert asked.header("X-Team") == "blue"
    assert await house.kinds() == ["connection.added", "connection.ready"]


async def test_what_is_secret_is_sealed_and_in_no_answer_or_event(
    house: Floors, server: Upstream
) -> None:
    url = server.url.replace("http://", "http://ada:hunter2pw@") + "?key=hunter2key"
    await house.connections.add(
        house.owner,
        ConnectionAdd(name="a", url=url, headers={"Authorization": "Bearer hunter2head"}),
    )
    await house.connections.edit(
        house.owner, ConnectionEdit(connection="a", headers={"X-B": "hunter2edit"})
    )
    everything = repr(
        [
            house.connections.all(house.owner),
            await house.db.all("connection.all"),
            await house.db.all("credential.all"),
            await house.db.all("event.after", org_id=house.owner.org, after=0, limit=99),
        ]
    )
    assert "hunter2" not in everything
    assert "a" in everything


async def test_a_server_that_cannot_be_reached_is_kept(house: Floors) -> None:
    made = await house.connections.add(
        house.owner, ConnectionAdd(name="a", url=NOWHERE + "?k=hunter2")
    )
    assert (made.state, made.tools, made.seen_at) == ("failing", None, None)
    assert made.reason is not None
    assert "hunter2" not in made.reason


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"name": "self"}, BadRequest), ({"url": "ftp://a"}, BadRequest), ({"url": "http://169.254.169.254/"}, BadRequest),
        ({"url": "http://2852039166/"}, BadRequest), ({"url": "http://metadata.google.internal/"}, BadRequest),
        ({"headers": {"Host": "x"}}, BadRequest), ({"name": "TAKEN"}, Conflict),
    ],
    ids=str,
)  # fmt: skip
async def test_what_cannot_be_added(house: Floors, asked: dict, error: type[Exception]) -> None:
    await house.connections.add(house.owner, ConnectionAdd(name="taken", url=NOWHERE))
    with pytest.raises(error):
        await house.connections.add(
            house.owner, ConnectionAdd(**{"name": "a", "url": NOWHERE, **asked})
        )
    assert [row.name for row in house.connections.all(house.owner)] == ["taken"]
    assert len(await house.db.all("credential.all")) == 0


async def test_a_program_that_cannot_be_run(house: Floors) -> None:
    made = await house.connections.add_stdio(
        house.owner,
        ConnectionAddStdio(name="a", command=["/no/such/program"], env={"TOKEN": "hunter2"}),
    )
    assert (made.state, made.command, made.env) == ("failing", ["/no/such/program"], ["TOKEN"])
    for command in ([], ["a\0"]):
        with pytest.raises(BadRequest):
            await house.connections.add_stdio(
                house.owner, ConnectionAddStdio(name="b", command=command)
            )
    with pytest.raises(BadRequest):
        await house.connections.edit(house.owner, ConnectionEdit(connection="a", url=NOWHERE))
    edited = await house.connections.edit_stdio(
        house.owner, ConnectionEditStdio(connection="a", command=["/another"])
    )
    assert edited.dropped == ["TOKEN"]
    assert edited.connection.env == []


async def test_another_origin_never_hears_the_credentials_of_the_first(
    house: Floors, server: Upstream
) -> None:
    with upstream() as other:
        await house.connections.add(
            house.owner,
            ConnectionAdd(name="a", url=server.url, headers={"Authorization": "Bearer hunter2"}),
        )
        edited = await house.connections.edit(
            house.owner, ConnectionEdit(connection="a", url=other.url)
        )
        assert edited.dropped == ["Authorization"]
        assert other.seen
        assert all(seen.header("Authorization") is None for seen in other.seen)
        same = await house.connections.edit(
            house.owner, ConnectionEdit(connection="a", headers={"X-A": "v"})
        )
        assert same.dropped == []
        assert other.seen[-1].header("X-A") == "v"


async def test_two_edits_at_once_do_not_mix_two_targets(house: Floors, server: Upstream) -> None:
    """A new secret for a new origin, and a rename that began before: never the old URL with it."""
    with upstream() as other:
        await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))
        await asyncio.gather(
            house.connections.edit(
                house.owner,
                ConnectionEdit(connection="a", url=other.url, headers={"X-Key": "for other"}),
            ),
            house.connections.edit(house.owner, ConnectionEdit(connection="a", bodies="off")),
        )
        after = house.connections.show(house.owner, "a")
        assert (after.url, after.bodies, after.headers) == (other.url, "off", ["X-Key"])
        assert all(seen.header("X-Key") is None for seen in server.seen)


async def test_a_snapshot_read_during_an_edit_is_of_one_moment(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection's new URL must never be seen beside the secrets of its old one."""
    made = await house.connections.add(
        house.owner, ConnectionAdd(name="a", url=NOWHERE, headers={"Authorization": "old"})
    )
    elsewhere = "http://127.0.0.1:2/mcp"
    read = house.db.all

    async def all_with_an_edit_in_between(query: str, /, **params: object) -> object:
        rows = await read(query, **params)
        if query == "credential.all":
            monkeypatch.setattr(house.db, "all", read)
            await house.db.write(
                Step("connection.edit", {"id": made.id, "org_id": house.owner.org, "name": "a", "url": elsewhere,
                                         "command": None, "cwd": None, "bodies": "off", "idle_s": None,
                                         "trust": "open", "edition": 0}),
                house.connections._credentials.drop(house.owner.org, made.id, "header", "Authorization"),
                Step("revision.bump", {"topic": "connections"}),
            )  # fmt: skip
        return rows

    monkeypatch.setattr(house.db, "all", all_with_an_edit_in_between)
    await house.db.write(Step("revision.bump", {"topic": "connections"}))
    await house.directory.refresh()
    row = house.directory.view.connections[made.id]
    assert (row.url, row.names("header")) == (elsewhere, [])


async def test_removing_takes_everything_with_it(house: Floors, server: Upstream) -> None:
    made = await house.connections.add(
        house.owner, ConnectionAdd(name="a", url=server.url, headers={"X-A": "v"})
    )
    removed = await house.connections.remove(house.owner, "A")
    assert (removed.id, removed.name) == (made.id, "a")
    for query in ("connection.all", "credential.all", "definitions.all"):
        assert await house.db.all(query) == []
    for gone in ("a", made.id):
        with pytest.raises(NotFound):
            house.connections.show(house.owner, gone)
    assert server.of("DELETE")
    assert (await house.kinds())[-1] == "connection.removed"


async def test_switching_off_and_on(house: Floors, server: Upstream) -> None:
    await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))
    off = await house.connections.enable(house.owner, "a", enabled=False)
    assert off.state == "disabled"
    with pytest.raises(Conflict, match="disabled"):
        await house.connections.test(house.owner, "a")
    assert house.connections.show(house.owner, "a").state == "disabled"
    before = len(server.seen)
    assert (await house.connections.enable(house.owner, "a", enabled=False)).state == "disabled"
    assert len(server.seen) == before
    assert (await house.connections.enable(house.owner, "a", enabled=True)).state == "ready"
    events = [kind for kind in await house.kinds() if "able" in kind]
    assert events == ["connection.disabled", "connection.enabled"]


async def test_a_test_is_a_fresh_round_trip_and_notes_what_it_found(
    house: Floors, server: Upstream
) -> None:
    await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))
    tested = await house.connections.test(house.owner, "a")
    assert (tested.server, tested.protocol, tested.connection.state) == (
        "recorder 1",
        "2025-11-25",
        "ready",
    )
    assert tested.duration_ms > 0
    server.replies["tools/list"] = status("401 Unauthorized")
    with pytest.raises(NeedsLogin):
        await house.connections.test(house.owner, "a")
    shown = house.connections.show(house.owner, "a")
    assert (shown.state, shown.seen_at is not None) == ("needs_login", True)
    assert (await house.kinds())[-1] == "connection.needs_login"


async def test_tools_of_the_old_target_do_not_come_back_after_a_restart(
    house: Floors, server: Upstream
) -> None:
    await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))
    edited = await house.connections.edit(house.owner, ConnectionEdit(connection="a", url=NOWHERE))
    assert edited.connection.tools is None
    await house.tools.load()
    assert house.connections.show(house.owner, "a").tools is None


async def test_another_org_finds_nothing(house: Floors, server: Upstream) -> None:
    """By name, by id, in no list; and the answer is that for a name that nobody has."""
    made = await house.connections.add(house.owner, ConnectionAdd(name="github", url=server.url))
    await house.db.write(Step("org.add", {"id": "org_other", "name": "other", "now": 1}))
    await house.directory.refresh()
    from tests.support.principals import key_principal

    stranger = key_principal({"*": ["*"], "self": ["*"]}, org="org_other")
    assert house.connections.all(stranger) == []
    said = set()
    for name in ("github", made.id, "conn_aaaaaaaaaaaaaaaa"):
        with pytest.raises(NotFound) as refused:
            house.connections.show(stranger, name)
        said.add(str(refused.value.body()).replace(name, "NAME"))
        for change in (
            house.connections.edit(stranger, ConnectionEdit(connection=name, bodies="off")),
            house.connections.remove(stranger, name),
            house.connections.enable(stranger, name, enabled=False),
            house.connections.test(stranger, name),
        ):
            with pytest.raises(NotFound):
                await change
    assert len(said) == 1
    assert house.connections.show(house.owner, "github").state == "ready"


async def test_a_list_without_end_is_refused(
    house: Floors, server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upstream that pages for ever, or sends too much, costs only itself."""
    monkeypatch.setattr("meshd.services.whole_list.MAX_LIST", 2000)
    server.replies["tools/list"] = result({"tools": [tool("x" * 500)], "nextCursor": "more"})
    made = await house.connections.add(house.owner, ConnectionAdd(name="a", url=server.url))
    assert made.state == "failing"
    assert len(server.of("tools/list")) < 6
    with pytest.raises(UpstreamFailed, match="MiB"):
        await house.connections.test(house.owner, "a")
