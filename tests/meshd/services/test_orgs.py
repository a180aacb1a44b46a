"""The rules of orgs, and in which of them a request is made."""

import asyncio
from dataclasses import replace

import pytest

from meshd.core.secret import Secret
from meshd.services.directory import Directory
from meshd.services.org_choice import in_org
from meshd.services.orgs import Orgs
from meshd.services.unlocking import Unlocking
from meshd.store.db import Step
from meshd.vault.errors import NoKey
from meshd.vault.sources.file import FileSource
from meshd.vault.vault import Vault
from meshd.wire.errors import BadRequest, Conflict, NotFound
from meshd.wire.org import OrgCreate, OrgRename
from tests.support.floors import Floors


@pytest.fixture
def orgs(house: Floors) -> Orgs:
    house.clock.advance(1)  # what is made here is younger than the first org
    return Orgs(
        house.scoped, house.directory, house.events, house.records, house.upstreams, house.tools,
        house.founding.vault, house.clock,
    )  # fmt: skip


def names(orgs: Orgs, who) -> list[str]:
    return [org.name for org in orgs.all(who)]


async def test_a_new_org_has_a_data_key_of_its_own(house: Floors, orgs: Orgs) -> None:
    made = await orgs.create(house.owner, OrgCreate("Team"))
    assert (made.name, made.connections, made.keys) == ("team", 0, 0)
    assert names(orgs, house.owner) == ["default", "team"]
    stored = await house.db.all("data_key.all")
    assert {row["org_id"] for row in stored} == {house.owner.org, made.id}
    assert len({bytes(row["wrapped"]) for row in stored}) == 2
    assert house.founding.vault.version(made.id) == 1
    events = await house.scoped.org(made.id).all("event.after", after=0, limit=9)
    assert [event["type"] for event in events] == ["mesh.org.created"]
    assert await house.kinds() == []


@pytest.mark.parametrize("name", ["", "self", "Ü", "a b", "a" * 41, "-a", "org_1"])
async def test_a_name_is_a_name(house: Floors, orgs: Orgs, name: str) -> None:
    with pytest.raises(BadRequest):
        await orgs.create(house.owner, OrgCreate(name))
    with pytest.raises(BadRequest):
        await orgs.rename(house.owner, OrgRename("default", name))


async def test_names_are_unique(house: Floors, orgs: Orgs) -> None:
    await orgs.create(house.owner, OrgCreate("team"))
    with pytest.raises(Conflict, match="exists already"):
        await orgs.create(house.owner, OrgCreate("TEAM"))
    with pytest.raises(Conflict, match="exists already"):
        await orgs.rename(house.owner, OrgRename("default", "team"))
    assert names(orgs, house.owner) == ["default", "team"]


async def test_a_rename_keeps_the_id_and_what_is_owned(house: Floors, orgs: Orgs) -> None:
    key = await house.key()
    renamed = await orgs.rename(house.owner, OrgRename("Default", "main"))
    assert (renamed.id, renamed.name, renamed.keys) == (house.owner.org, "main", 1)
    assert key.present() is not None
    assert (await house.kinds())[-1] == "org.renamed"


async def test_removing_both_at_once_leaves_one(house: Floors, orgs: Orgs) -> None:
    await orgs.create(house.owner, OrgCreate("team"))
    done = await asyncio.gather(
        orgs.remove(house.owner, "default"), orgs.remove(house.owner, "team"),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(one).__name__ for one in done] == ["Removed", "Conflict"]
    assert names(orgs, house.owner) == ["team"]


async def test_its_key_is_gone_from_the_vault(house: Floors, orgs: Orgs) -> None:
    made = await orgs.create(house.owner, OrgCreate("team"))
    await orgs.remove(house.owner, made.id)
    assert {row["org_id"] for row in await house.db.all("data_key.all")} == {house.owner.org}
    with pytest.raises(NoKey, match="No data key"):
        house.founding.vault.version(made.id)
    assert (await house.kinds())[-1] == "org.removed"


async def test_a_key_knows_of_its_own_org_alone(house: Floors, orgs: Orgs) -> None:
    key = await house.key()
    made = await orgs.create(house.owner, OrgCreate("team"))
    assert names(orgs, key) == ["default"]
    for asking in (made.id, "team"):
        with pytest.raises(NotFound):
            orgs.show(key, asking)
        with pytest.raises(NotFound):
            await orgs.rename(key, OrgRename(asking, "mine"))
        with pytest.raises(NotFound):
            await orgs.remove(key, asking)
    assert names(orgs, house.owner) == ["default", "team"]


class TestChoice:
    async def test_with_one_org_nothing_needs_to_be_said(self, house: Floors) -> None:
        assert in_org(house.directory.view, house.owner, None) is house.owner

    async def test_with_several_the_owner_says_which(self, house: Floors, orgs: Orgs) -> None:
        made = await orgs.create(house.owner, OrgCreate("team"))
        view = house.directory.view
        with pytest.raises(BadRequest) as asked:
            in_org(view, house.owner, None)
        assert asked.value.facts == {"orgs": "default team"}
        for named in ("team", "TEAM", made.id):
            assert in_org(view, house.owner, named).org == made.id
        assert in_org(view, house.owner, "default") is house.owner

    async def test_a_key_needs_to_say_nothing_and_may_name_its_own(
        self, house: Floors, orgs: Orgs
    ) -> None:
        key = await house.key()
        made = await orgs.create(house.owner, OrgCreate("team"))
        view = house.directory.view
        for named in (None, "default", key.org):
            assert in_org(view, key, named) is key
        for named in ("team", made.id, "nobody"):
            with pytest.raises(NotFound) as refused:
                in_org(view, key, named)
            assert refused.value.facts == {"orgs": "default"}

    async def test_one_that_is_gone_is_told_with_what_is_left(self, house: Floors) -> None:
        gone = replace(house.owner, org="org_gone")
        with pytest.raises(NotFound) as refused:
            in_org(house.directory.view, gone, "team")
        assert refused.value.next == "meshctl org use default"
        assert "team" in refused.value.message


async def test_records_that_outlived_their_org_are_swept(house: Floors) -> None:
    """A daemon may have died between the org and its records."""
    row = dict.fromkeys(house.calls._queries.query("call.add").params, 0)
    orgs = [house.owner.org, "org_dead", "org_dead"]
    rows = [row | {"id": f"call_{at}", "org_id": org} for at, org in enumerate(orgs)]
    for one in rows:
        await house.calls.write_many("call.add", [one])
    await house.records.erase_orphans()
    assert [row["org_id"] for row in await house.calls.all("call.orgs")] == [house.owner.org]


async def test_the_vault_follows_what_another_daemon_does(house: Floors, orgs: Orgs) -> None:
    """Its org can be sealed for at once, and its removal closes what was sealed.

    What does not open is known as broken, for as long as the org is there.
    """
    made = await orgs.create(house.owner, OrgCreate("team"))
    junk = Step("data_key.add", {"version": 2, "wrapped": b"junk", "now": 0})
    elsewhere = Vault(None, house.founding.installation)
    file = FileSource(house.folder / "keys" / "master.key")
    unlocking = Unlocking(house.scoped, elsewhere, house.founding.installation, [file], house.clock)
    await unlocking.begin()
    directory = Directory(house.scoped, house.clock)
    await house.scoped.org(made.id).write(junk)
    directory.on_orgs(unlocking.follow)
    unlocking.broken.clear()
    await directory.refresh()
    assert list(unlocking.broken) == [(made.id, 2)]
    blob = elsewhere.seal(made.id, "credentials", "c", "env:A", Secret("hunter2"))
    vault = house.founding.vault
    assert vault.open(made.id, "credentials", "c", "env:A", blob).reveal() == "hunter2"
    await orgs.remove(house.owner, "team")
    await directory.refresh()
    assert unlocking.broken == {}
    for one in (vault, elsewhere):
        with pytest.raises(NoKey):
            one.open(made.id, "credentials", "c", "env:A", blob)
