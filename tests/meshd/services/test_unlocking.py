"""Which key opens the vault, on a real database; the doors are told of in life/test_locked."""

from pathlib import Path

import pytest

from meshd.core.secret import Secret
from meshd.services.seals import BATCH, Seals
from meshd.services.unlocking import TRIES, Unlocking
from meshd.store.db import Step
from meshd.vault.errors import NoKey, NoMasterKey
from meshd.vault.key import Key
from meshd.vault.master import MasterKey, encode, load_or_create
from meshd.vault.sources.environment import EnvironmentSource
from meshd.vault.sources.file import FileSource
from meshd.vault.vault import Vault
from meshd.wire.errors import BadRequest, Locked, RateLimited
from tests.support.floors import Floors


def text(master: MasterKey) -> Secret:
    return Secret(encode(master).decode())


def right(tmp_path: Path) -> MasterKey:
    """The key that the floors were opened with."""
    return load_or_create(tmp_path / "keys" / "master.key")


def restarted(house: Floors, given: Secret) -> Unlocking:
    """As a later start with this key in its environment would have it."""
    vault = Vault(None, house.founding.installation)
    return Unlocking(
        house.scoped, vault, house.founding.installation, [EnvironmentSource(given)], house.clock
    )


async def test_the_right_key_opens_and_nothing_is_written_twice(
    house: Floors, tmp_path: Path
) -> None:
    before = await house.db.all("data_key.all")
    again = restarted(house, text(right(tmp_path)))
    await again.begin()
    assert again.why is None
    assert await house.db.all("data_key.all") == before


async def test_a_wrong_key_opens_nothing(house: Floors) -> None:
    """Also when the data keys are gone: the id on record stands for them."""
    other = MasterKey(Key.random())
    for change in (
        "SELECT 1",
        "UPDATE data_keys SET wrapped = zeroblob(94)",
        "DELETE FROM data_keys",
    ):
        await house.raw(change)
        again = restarted(house, text(other))
        await again.begin()
        assert other.id.hex() in str(again.why)
        assert again.locked().facts["needed"] == house.founding.vault.master_id.hex()
    assert await house.db.all("data_key.all") == []


async def test_a_key_that_opens_a_data_key_is_right_whatever_the_record_says(
    house: Floors, tmp_path: Path
) -> None:
    """Older installations have no record; it is put there."""
    for change in ("DELETE FROM meta WHERE name = 'master_key'",
                   "UPDATE meta SET value = '00' WHERE name = 'master_key'"):  # fmt: skip
        await house.raw(change)
        again = restarted(house, text(right(tmp_path)))
        await again.begin()
        assert again.why is None
        assert (await again.sealed()).record == right(tmp_path).id.hex()
    await house.raw("DELETE FROM meta WHERE name = 'master_key'")
    again = restarted(house, text(MasterKey(Key.random())))
    await again.begin()
    assert right(tmp_path).id.hex() in str(again.why)


async def test_a_new_key_is_made_only_where_nothing_was_sealed(
    house: Floors, tmp_path: Path
) -> None:
    """Neither the loss of the file nor that of the data keys makes a second one."""
    elsewhere = tmp_path / "elsewhere" / "master.key"
    for change in ("SELECT 1", "DELETE FROM data_keys"):
        await house.raw(change)
        vault = Vault(None, house.founding.installation)
        again = Unlocking(
            house.scoped, vault, house.founding.installation, [FileSource(elsewhere)], house.clock
        )
        await again.begin()
        assert again.why is not None
        assert not elsewhere.exists()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE data_keys SET wrapped = zeroblob(94)",
        "UPDATE data_keys SET wrapped = substr(wrapped, 1, 40)",
        "UPDATE data_keys SET wrapped = 'text'",
        "UPDATE data_keys SET version = 2",
    ],
)
async def test_a_data_key_that_does_not_open_is_told_of(
    house: Floors, tmp_path: Path, change: str
) -> None:
    """The vault opens without it, and no other takes its place."""
    await house.raw(change)
    again = restarted(house, text(right(tmp_path)))
    await again.begin()
    assert again.why is None
    assert [org for org, _ in again.broken] == [house.owner.org]
    assert len(await house.db.all("data_key.all")) == 1


async def test_a_new_org_gets_a_data_key(house: Floors, tmp_path: Path) -> None:
    await house.db.write(Step("org.add", {"id": "org_new", "name": "new", "now": 1}))
    again = restarted(house, text(right(tmp_path)))
    await again.begin()
    assert [row["org_id"] for row in await house.db.all("data_key.all")].count("org_new") == 1


async def test_attempts_by_hand(house: Floors, tmp_path: Path) -> None:
    """What is no key is said so; a wrong one has ids; there are few a minute; the right one opens."""
    opened = []
    again = restarted(house, text(MasterKey(Key.random())))
    again.opened = lambda: opened.append(True)
    await again.begin()
    with pytest.raises(BadRequest, match="no master key"):
        await again.unlock(Secret("nonsense"))
    for _ in range(TRIES - 1):
        with pytest.raises(Locked) as refused:
            await again.unlock(text(MasterKey(Key.random())))
        assert {"key id", "needed"} <= refused.value.facts.keys()
    with pytest.raises(RateLimited):
        await again.unlock(text(right(tmp_path)))
    assert opened == []
    house.clock.advance(60 / TRIES)
    await again.unlock(text(right(tmp_path)))
    assert (opened, again.why, again.by_hand) == ([True], None, True)
    await again.unlock(Secret("anything"))


async def test_a_locked_vault_holds_nothing(house: Floors) -> None:
    vault = Vault(None, "x")
    assert vault.locked
    for use in (lambda: vault.derive("session"), lambda: vault.new_org_key("o"),
                lambda: vault.master_id):  # fmt: skip
        with pytest.raises(NoMasterKey):
            use()
    with pytest.raises(NoKey):
        vault.seal("o", "t", "r", "f", Secret("x"))


async def test_seals_are_written_in_batches_that_daemons_add_up(house: Floors) -> None:
    """Each takes a batch for itself; within it nothing is written."""

    async def recorded() -> int:
        return int((await house.db.all("data_key.all"))[0]["sealed"])

    one, other = (Seals(house.scoped, house.founding.vault) for _ in range(2))
    for _ in range(BATCH):
        await one.count(house.owner.org)
    assert await recorded() == BATCH
    await other.count(house.owner.org)
    assert await recorded() == 2 * BATCH
    await one.count(house.owner.org)
    assert await recorded() == 3 * BATCH
