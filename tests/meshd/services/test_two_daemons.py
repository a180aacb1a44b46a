"""The services of two daemons on one Postgres: what one does while the other works on the same."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from meshd.core.config import read_config
from meshd.core.secret import Secret
from meshd.services.following import Following
from meshd.services.founding import found
from meshd.services.unlocking import Unlocking
from meshd.store.db import Row, Step
from meshd.store.opening import open_databases
from meshd.vault.master import load_or_create
from meshd.vault.sources.file import FileSource
from meshd.wire.connection import ConnectionAdd, ConnectionEdit
from meshd.wire.errors import Conflict, Unavailable, UpstreamFailed
from meshd.wire.key import KeyAdd, KeyEdit
from tests.support.clock import FakeClock
from tests.support.floors import Floors, floors

HERE, ELSEWHERE = "http://127.0.0.1:1/mcp", "http://127.0.0.1:2/mcp"


@pytest.fixture
async def pair(tmp_path: Path, dsn: str) -> AsyncIterator[tuple[Floors, Floors]]:
    (tmp_path / "one").mkdir()
    async with floors(tmp_path / "one", dsn) as one:
        shutil.copytree(tmp_path / "one" / "keys", tmp_path / "two" / "keys")
        async with floors(tmp_path / "two", dsn) as two:
            yield one, two


def before_the_next_write(
    house: Floors, monkeypatch: pytest.MonkeyPatch, do: Callable[[], Awaitable[object]]
) -> None:
    """Let the other daemon come between what this one read and what it writes."""
    write = house.db.write

    async def later(*steps: Step) -> list[list[Row]]:
        monkeypatch.setattr(house.db, "write", write)
        await do()
        return await write(*steps)

    monkeypatch.setattr(house.db, "write", later)


async def added(house: Floors, **headers: str) -> str:
    asked = ConnectionAdd(name="a", url=HERE, headers=headers)
    return (await house.connections.add(house.owner, asked)).id


async def test_a_credential_never_lands_beside_another_target(
    pair: tuple[Floors, Floors], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header given for one URL, while the other daemon points the connection elsewhere."""
    one, two = pair
    made = await added(one)
    moved = ConnectionEdit(connection="a", url=ELSEWHERE)
    before_the_next_write(two, monkeypatch, lambda: one.connections.edit(one.owner, moved))
    with pytest.raises(Conflict, match="changed meanwhile"):
        await two.connections.edit(
            two.owner, ConnectionEdit(connection="a", headers={"Authorization": "for-here"})
        )
    await one.directory.refresh()
    row = one.directory.view.connections[made]
    assert (row.url, row.sealed) == (ELSEWHERE, ())


async def test_a_target_never_gets_credentials_that_it_did_not_drop(
    pair: tuple[Floors, Floors], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other way round: a new origin drops the headers it knows, so it has to know them all."""
    one, two = pair
    made = await added(one)
    given = ConnectionEdit(connection="a", headers={"Authorization": "for-here"})
    before_the_next_write(two, monkeypatch, lambda: one.connections.edit(one.owner, given))
    with pytest.raises(Conflict, match="changed meanwhile"):
        await two.connections.edit(two.owner, ConnectionEdit(connection="a", url=ELSEWHERE))
    await one.directory.refresh()
    row = one.directory.view.connections[made]
    assert (row.url, row.names("header")) == (HERE, ["Authorization"])


async def test_what_the_other_changed_before_is_seen_by_every_change(
    pair: tuple[Floors, Floors],
) -> None:
    """Without any poll in between, and without a conflict."""
    one, two = pair
    await added(one)
    await two.connections.edit(two.owner, ConnectionEdit(connection="a", bodies="off"))
    edited = await one.connections.edit(one.owner, ConnectionEdit(connection="a", name="b"))
    assert (edited.connection.name, edited.connection.bodies) == ("b", "off")
    await two.connections.remove(two.owner, "b")


EDITS: dict[str, Callable[[Floors], Awaitable[object]]] = {
    "connection.edit": lambda h: h.connections.edit(
        h.owner, ConnectionEdit(connection="a", bodies="off")
    ),
    "connection.enable": lambda h: h.connections.enable(h.owner, "a", enabled=False),
    "key.edit": lambda h: h.keys.edit(h.owner, KeyEdit(key="k", read_only=True)),
    "key.rotate": lambda h: h.keys.rotate(h.owner, "k"),
}


@pytest.mark.parametrize("later", EDITS)
@pytest.mark.parametrize("first", EDITS)
async def test_of_two_edits_at_once_none_is_lost_silently(
    pair: tuple[Floors, Floors], monkeypatch: pytest.MonkeyPatch, first: str, later: str
) -> None:
    """The later one of the same thing is refused; of different things both are done."""
    one, two = pair
    await added(one)
    await one.keys.add(one.owner, KeyAdd(name="k"))
    before_the_next_write(two, monkeypatch, lambda: EDITS[first](one))
    same = first.partition(".")[0] == later.partition(".")[0]
    if same:
        with pytest.raises(Conflict, match="changed meanwhile"):
            await EDITS[later](two)
    else:
        await EDITS[later](two)
    kinds = [kind for kind in await one.kinds() if not kind.endswith((".added", ".failing"))]
    assert len(kinds) == (1 if same else 2)


async def test_the_poll_alone_tells_of_a_revocation(pair: tuple[Floors, Floors]) -> None:
    """No hint is heard here: nobody connects the bell of the directory."""
    one, two = pair
    key = (await one.keys.add(one.owner, KeyAdd(name="k"))).key
    polling = asyncio.create_task(two.directory.keep_fresh())
    try:
        async with asyncio.timeout(10):
            while two.keys.authenticate(key) is None:
                await two.directory.news.wait(5, None)
            heard = two.directory.news.rung
            await one.keys.revoke(one.owner, "k")
            await two.directory.news.wait(5, heard)
        assert two.keys.authenticate(key) is None
    finally:
        polling.cancel()
        with suppress(asyncio.CancelledError):
            await polling


async def test_what_both_find_out_is_told_once(
    pair: tuple[Floors, Floors], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two daemons see the same upstream fail; the state and its event are written by one."""
    one, two = pair
    made = await added(one)
    await one.db.write(
        Step("connection.observe", observed(one, made, "unknown"), expect=1),
        Step("revision.bump", {"topic": "connections"}),
    )
    gone = UpstreamFailed("gone")
    for house in pair:
        await house.directory.refresh()
        house.health.failed(house.directory.view.connections[made], gone)
    before_the_next_write(two, monkeypatch, one.health.flush)
    await two.health.flush()
    assert (await one.kinds()).count("connection.failing") == 2, "one at the start, one now"
    assert two.health.of(two.directory.view.connections[made]).reason == "gone"


def observed(house: Floors, made: str, state: str) -> dict[str, object]:
    return {
        "org_id": house.owner.org, "id": made, "state": state, "reason": None, "seen_at": 1,
        "edition": 0,
    }  # fmt: skip


async def test_what_one_listed_the_other_knows(pair: tuple[Floors, Floors]) -> None:
    """And forgets it with the target that it was listed from."""
    one, two = pair
    made = await added(one)
    await one.db.write(
        Step("connection.observe", observed(one, made, "ready"), expect=1),
        Step("revision.bump", {"topic": "connections"}),
    )  # fmt: skip
    await one.directory.refresh()
    await one.tools.learn(one.directory.view.connections[made], [])
    await two.directory.refresh()
    follows = Following(two.directory, two.upstreams, two.tools, two.health)
    assert two.tools.known(two.directory.view.connections[made]) is None
    await follows.follow()
    assert two.tools.known(two.directory.view.connections[made]) is not None
    await one.connections.edit(one.owner, ConnectionEdit(connection="a", url=ELSEWHERE))
    await two.directory.refresh()
    await follows.follow()
    assert two.tools.known(two.directory.view.connections[made]) is None


async def test_of_many_that_begin_together_one_founds(tmp_path: Path, dsn: str) -> None:
    """The others find what it wrote, whole."""
    config = read_config({"MESHCTL_HOME": str(tmp_path), "DATABASE_URL": dsn})
    async with open_databases(config) as databases:
        await databases.migrate()
        key, clock = config.master_key, FakeClock()
        load_or_create(key)
        begun = [found(databases.main, clock, lambda n=n: f"u{n}") for n in range(8)]
        founded = await asyncio.gather(*begun)
        assert len({(one.installation, one.org, one.owner) for one in founded}) == 1
        opening = [
            Unlocking(databases.main, one.vault, one.installation, [FileSource(key)], clock)
            for one in founded
        ]
        await asyncio.gather(*(one.begin() for one in opening))
        assert [one.why for one in opening] == [None] * 8
        sealed = founded[0].vault.seal(founded[0].org, "t", "r", "f", Secret("x"))
        for one in founded:
            assert one.vault.open(one.org, "t", "r", "f", sealed) == Secret("x")
        assert len(await databases.main.all("user.all")) == 1
        assert len(await databases.main.all("data_key.all")) == 1


async def test_of_two_new_master_keys_one_is_that_of_the_data(tmp_path: Path, dsn: str) -> None:
    """The other daemon is locked, and nothing is sealed under its key."""
    config = read_config({"MESHCTL_HOME": str(tmp_path), "DATABASE_URL": dsn})
    async with open_databases(config) as databases:
        await databases.migrate()
        clock = FakeClock()
        opening = []
        for number in range(4):
            one = await found(databases.main, clock, lambda: "ada")
            file = FileSource(tmp_path / str(number) / "master.key")
            opening.append(Unlocking(databases.main, one.vault, one.installation, [file], clock))
        await asyncio.gather(*(one.begin() for one in opening))
        assert sorted(one.why is None for one in opening) == [False] * 3 + [True]
        assert len(await databases.main.all("data_key.all")) == 1


async def test_both_sweep_at_once(pair: tuple[Floors, Floors]) -> None:
    one, two = pair
    for _ in range(20):
        await one.db.write(one.events.step(one.owner, "key.rotated", "x", {"name": "x"}))
    sweep = Step("event.sweep", {"time": one.clock.now() + 1})
    gone = await asyncio.gather(*(house.db.write(sweep) for house in (one, two) * 3))
    assert sum(len(rows) for (rows,) in gone) == 20


async def test_a_valid_key_is_never_called_unknown(
    pair: tuple[Floors, Floors], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the database for too long nothing is decided: 503, not 401."""
    one, _ = pair
    key = (await one.keys.add(one.owner, KeyAdd(name="k"))).key
    one.clock.advance(30)
    assert one.keys.authenticate(key) is not None
    one.clock.advance(0.1)
    for text in (key, "garbage"):
        with pytest.raises(Unavailable):
            one.keys.authenticate(text)
