"""Keys on a real database: what they may do, who may change them, and what is left of them."""

import asyncio
import json

import pytest

from meshd.services.keys import MAX_GRANTS
from meshd.store.db import Step, StoreUnavailable
from meshd.vault import apikey
from meshd.wire.connection import ConnectionAdd
from meshd.wire.errors import BadRequest, Conflict, Denied, NotFound, Unavailable
from meshd.wire.key import KeyAdd, KeyEdit
from tests.support.floors import Floors

NOWHERE = "http://127.0.0.1:1/mcp"


async def connect(house: Floors, name: str) -> str:
    return (await house.connections.add(house.owner, ConnectionAdd(name=name, url=NOWHERE))).id


async def test_a_key_is_shown_once_and_kept_as_a_digest(house: Floors) -> None:
    made = await house.keys.add(house.owner, KeyAdd(name="Laptop"))
    assert apikey.parse(made.key)
    assert made.name == "laptop"
    assert (made.prefix, made.last_four) == (made.key[:13], made.key[-4:])
    shown = house.keys.show(house.owner, "laptop")
    assert not hasattr(shown, "key")
    rows = await house.db.all("key.all")
    events = await house.db.all("event.after", org_id=house.owner.org, after=0, limit=10)
    assert made.key not in repr(rows) + repr(events)
    assert rows[0]["digest"] == apikey.digest(made.key)


async def test_the_default_is_every_connection_and_no_management(house: Floors) -> None:
    assert (await house.key("a")).permissions == {"*": ("*",)}
    assert (await house.key("b", role="user")).permissions == {}
    assert (await house.key("c", allow=[])).permissions == {}


async def test_who_a_key_is(house: Floors) -> None:
    made = await house.keys.add(house.owner, KeyAdd(name="laptop"))
    assert house.keys.authenticate(made.key) is house.keys.authenticate(made.key)
    other = apikey.mint("s").secret.reveal()
    for wrong in (
        "",
        "x",
        made.key[:-1],
        made.key + "x",
        made.key.swapcase(),
        other,
        made.id,
        made.prefix,
    ):
        assert house.keys.authenticate(wrong) is None


async def test_an_expired_key_is_nobody_from_that_moment_on(house: Floors) -> None:
    made = await house.keys.add(house.owner, KeyAdd(name="short", expires="1h"))
    who = house.keys.authenticate(made.key)
    assert who is not None
    house.clock.advance(3599)
    await house.directory.refresh()
    assert house.keys.authenticate(made.key) is who
    house.clock.advance(1)
    await house.directory.refresh()
    assert house.keys.authenticate(made.key) is None
    assert who.present() is None
    with pytest.raises(Denied, match="expired"):
        house.keys.acting_as("short", house.owner)


@pytest.mark.parametrize("expires", ["0s", "2020-01-01", "tomorrow", ""])
async def test_an_expiry_lies_ahead(house: Floors, expires: str) -> None:
    with pytest.raises(BadRequest):
        await house.keys.add(house.owner, KeyAdd(name="a", expires=expires))


async def test_grants_are_kept_by_id_and_shown_by_name(house: Floors) -> None:
    made = await connect(house, "github")
    await house.key("laptop", allow=["github/get_*", "self/whoami"])
    shown = house.keys.show(house.owner, "laptop")
    assert shown.permissions == {made: ["get_*"], "self": ["whoami"]}
    assert shown.grants == ["github/get_*", "self/whoami"]
    from meshd.wire.connection import ConnectionEdit

    await house.connections.edit(house.owner, ConnectionEdit(connection="github", name="hub"))
    assert house.keys.show(house.owner, "laptop").grants == ["hub/get_*", "self/whoami"]


async def test_removing_a_connection_drops_its_grants_and_nothing_else(house: Floors) -> None:
    made = await connect(house, "github")
    await connect(house, "fs")
    await house.key("one", allow=["github/x", "fs"], expires="90d")
    await house.key("two", allow=["*/x"])
    await house.connections.remove(house.owner, "github")
    one = house.keys.show(house.owner, "one")
    assert made not in one.permissions
    assert one.grants == ["fs"]
    assert one.expires_at is not None
    assert house.keys.show(house.owner, "two").grants == ["*/x"]
    again = await connect(house, "github")
    assert again != made
    assert again not in house.keys.show(house.owner, "one").permissions


async def test_changing_what_a_key_may_do(house: Floors) -> None:
    await connect(house, "github")
    before = await house.key("laptop", allow=["github/a", "github/b"])
    edited = await house.keys.edit(
        house.owner,
        KeyEdit(key="laptop", name="desk", allow=["github/c"], revoke=["github/a"], read_only=True,
                role="user", expires="1d"),
    )  # fmt: skip
    assert edited.grants == ["github/b", "github/c"]
    assert (edited.name, edited.read_only, edited.role) == ("desk", True, "user")
    assert edited.expires_at == "2026-11-24T12:00:00.000000Z"
    now = before.present()
    assert now is not None
    assert now is not before
    assert (now.name, now.id) == ("desk", before.id)
    back = await house.keys.edit(
        house.owner, KeyEdit(key="desk", role=None, expires=None, read_only=False)
    )
    assert (back.role, back.expires_at, back.read_only) == (None, None, False)


async def test_revoking_removes_exactly_that_entry(house: Floors) -> None:
    await connect(house, "github")
    await house.key("laptop", allow=["github", "github/a"])
    edited = await house.keys.edit(house.owner, KeyEdit(key="laptop", revoke=["github/a"]))
    assert edited.grants == ["github"]
    with pytest.raises(BadRequest, match="has no grant"):
        await house.keys.edit(house.owner, KeyEdit(key="laptop", revoke=["github/a"]))


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"name": "self"}, BadRequest), ({"name": "a b"}, BadRequest), ({"name": ""}, BadRequest),
        ({"name": "a", "role": "root"}, BadRequest), ({"name": "a", "allow": ["nobody"]}, NotFound),
        ({"name": "a", "allow": [""]}, BadRequest), ({"name": "taken"}, Conflict), ({"name": "TAKEN"}, Conflict),
        ({"name": "a", "allow": ["*/x"] * (MAX_GRANTS + 1)}, BadRequest),
        ({"name": "a", "allow": ["self/key.ad"]}, BadRequest), ({"name": "a", "allow": ["self/x*"]}, BadRequest),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
async def test_what_cannot_be_made(house: Floors, asked: dict, error: type[Exception]) -> None:
    await house.key("taken")
    with pytest.raises(error):
        await house.keys.add(house.owner, KeyAdd(**asked))
    assert [key.name for key in house.keys.all(house.owner)] == ["taken"]
    assert await house.kinds() == ["key.added"]


async def test_a_key_holds_a_bounded_number_of_grants(house: Floors) -> None:
    many = [f"*/x{n}" for n in range(MAX_GRANTS)]
    await house.key("full", allow=many)
    for edit in (
        KeyEdit(key="full", allow=["*/more"]),
        KeyEdit(key="full", revoke=["self/no"] * (MAX_GRANTS + 1)),
    ):
        with pytest.raises(BadRequest, match="at most"):
            await house.keys.edit(house.owner, edit)


async def test_rotating_stops_the_old_secret_at_once(house: Floors) -> None:
    old = await house.keys.add(house.owner, KeyAdd(name="laptop"))
    assert house.keys.authenticate(old.key)
    new = await house.keys.rotate(house.owner, "laptop")
    assert new.id == old.id
    assert house.keys.authenticate(old.key) is None
    assert house.keys.authenticate(new.key) is not None


async def test_a_revoked_key_is_gone_at_once(house: Floors) -> None:
    made = await house.keys.add(house.owner, KeyAdd(name="laptop"))
    who = house.keys.authenticate(made.key)
    await house.keys.revoke(house.owner, "laptop")
    assert house.keys.authenticate(made.key) is None
    assert who is not None
    assert who.present() is None
    for use in (house.keys.show, house.keys.acting_as):
        with pytest.raises(NotFound):
            use(*((house.owner, "laptop") if use == house.keys.show else ("laptop", house.owner)))
    await house.key("laptop")


async def test_each_change_leaves_its_event(house: Floors) -> None:
    await house.key("a")
    await house.keys.edit(house.owner, KeyEdit(key="a", read_only=True))
    await house.keys.rotate(house.owner, "a")
    await house.keys.revoke(house.owner, "a")
    assert await house.kinds() == ["key.added", "key.edited", "key.rotated", "key.revoked"]
    rows = await house.db.all("event.after", org_id=house.owner.org, after=0, limit=10)
    assert {json.loads(row["data"])["by"]["name"] for row in rows} == {"ada"}


async def test_newest_first(house: Floors) -> None:
    for name in ("first", "second", "third"):
        await house.key(name)
        house.clock.advance(1)
    assert [key.name for key in house.keys.all(house.owner)] == ["third", "second", "first"]


async def test_the_last_use_stays_visible_when_it_is_written(house: Floors) -> None:
    made = await house.keys.add(house.owner, KeyAdd(name="laptop"))
    assert house.keys.show(house.owner, "laptop").last_used_at is None
    house.keys.authenticate(made.key)
    used = house.keys.show(house.owner, "laptop").last_used_at
    assert used == "2026-11-23T12:00:00.000000Z"
    await house.keys.write_last_used()
    assert house.keys.show(house.owner, "laptop").last_used_at == used
    assert (await house.db.one("key.all"))["last_used_at"] == house.clock.now()
    house.clock.advance(5)
    house.keys.authenticate(made.key)
    await house.keys.write_last_used()
    assert (await house.db.one("key.all"))["last_used_at"] == house.clock.now()


async def test_a_last_use_survives_a_database_that_fails(
    house: Floors, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.key("laptop")

    async def fail(*_: object) -> None:
        raise StoreUnavailable("full")

    with monkeypatch.context() as broken:
        broken.setattr(house.db, "write_many", fail)
        with pytest.raises(StoreUnavailable):
            await house.keys.write_last_used()
    await house.keys.write_last_used()
    assert (await house.db.one("key.all"))["last_used_at"] == house.clock.now()


# What keys may do to keys.


async def test_a_key_with_every_pattern_cannot_give_itself_secrets(house: Floors) -> None:
    """`self/*` matches key.edit, but no call that answers with a new secret."""
    who = await house.key("manager", allow=["self/*", "*"])
    for grant in ("self/key.add", "self/key.rotate"):
        with pytest.raises(Denied):
            await house.keys.edit(who, KeyEdit(key="manager", allow=[grant]))
    await house.keys.edit(who, KeyEdit(key="manager", allow=["self/key.list"]))


async def test_a_role_cannot_be_turned_into_instance_rights(house: Floors) -> None:
    who = await house.key("manager", role="admin", allow=["self/key.add"])
    for grant in ("self/*", "self/connection.*", "self/connection.add_stdio", "self/daemon.stop"):
        with pytest.raises(Denied):
            await house.keys.add(who, KeyAdd(name="x", allow=[grant]))
        with pytest.raises(Denied):
            await house.keys.edit(who, KeyEdit(key="manager", allow=[grant]))
    await house.keys.add(who, KeyAdd(name="x", allow=["self/connection.add"], role="admin"))


async def test_a_key_cannot_free_itself(house: Floors) -> None:
    """Of its end, of being read-only, or of its role's bounds."""
    who = await house.key("k", allow=["self/key.edit", "self/key.add"], role="user", expires="1d")
    for edit in (
        {"expires": None}, {"expires": "2d"}, {"role": "admin"}, {"role": "owner"},
        {"allow": ["self/key.rotate"]}, {"allow": ["self"]},
    ):  # fmt: skip
        with pytest.raises(Denied):
            await house.keys.edit(who, KeyEdit(key="k", **edit))
    with pytest.raises(Denied):
        await house.keys.add(who, KeyAdd(name="x", allow=["self/key.add"]))
    await house.keys.edit(
        who, KeyEdit(key="k", expires="1h", read_only=True, revoke=["self/key.add"])
    )


async def test_a_key_leaves_stronger_keys_alone(house: Floors) -> None:
    """It cannot read their new secret, shrink them, or take them away; it can with its equals."""
    mine = ["self/key.edit", "self/key.rotate", "self/key.revoke", "*/x"]
    who = await house.key("weak", allow=mine)
    await house.key("strong", allow=["*"])
    await house.key("same", allow=mine[:2])
    for attempt in (
        house.keys.edit(who, KeyEdit(key="strong", read_only=True)),
        house.keys.edit(who, KeyEdit(key="strong", revoke=["*"])),
        house.keys.rotate(who, "strong"),
        house.keys.revoke(who, "strong"),
    ):
        with pytest.raises(Denied):
            await attempt
    await house.keys.edit(who, KeyEdit(key="same", read_only=True))
    assert (await house.keys.rotate(who, "same")).read_only
    await house.keys.revoke(who, "same")
    assert {key.name for key in house.keys.all(house.owner)} == {"weak", "strong"}


async def test_someone_elses_key_is_no_instance_admin(house: Floors) -> None:
    bob = await house.key_of_someone(allow=["self", "*", "self/key.rotate", "self/key.edit"])
    assert not bob.instance_admin
    await house.key("admins", allow=["self/whoami"])
    for attempt in (
        house.keys.rotate(bob, "admins"),
        house.keys.edit(bob, KeyEdit(key="admins", allow=["self/connection.add_stdio"])),
    ):
        with pytest.raises(Denied, match="instance admin"):
            await attempt


# Races.


async def test_two_edits_at_once_both_count(house: Floors) -> None:
    """One tightens a key, the other renames it: neither may undo the other."""
    await house.key("laptop", allow=["self/whoami"])
    await asyncio.gather(
        house.keys.edit(house.owner, KeyEdit(key="laptop", read_only=True, expires="1d")),
        house.keys.edit(house.owner, KeyEdit(key="laptop", allow=["self/status"])),
        house.keys.edit(house.owner, KeyEdit(key="laptop", role="user")),
    )
    after = house.keys.show(house.owner, "laptop")
    assert (after.read_only, after.role, after.expires_at is not None) == (True, "user", True)
    assert after.grants == ["self/whoami", "self/status"]


async def test_edits_and_a_removed_connection_at_once(house: Floors) -> None:
    await connect(house, "github")
    await house.key("laptop", allow=["github", "self/whoami"])
    await asyncio.gather(
        house.keys.edit(house.owner, KeyEdit(key="laptop", read_only=True)),
        house.connections.remove(house.owner, "github"),
    )
    after = house.keys.show(house.owner, "laptop")
    assert (after.read_only, after.grants) == (True, ["self/whoami"])


async def test_of_two_revocations_one_finds_nothing(house: Floors) -> None:
    await house.key("laptop")
    results = await asyncio.gather(
        house.keys.revoke(house.owner, "laptop"), house.keys.revoke(house.owner, "laptop"),
        house.keys.rotate(house.owner, "laptop"), return_exceptions=True,
    )  # fmt: skip
    assert [type(result).__name__ for result in results] == ["Removed", "NotFound", "NotFound"]


async def test_an_edit_of_what_another_daemon_changed(house: Floors) -> None:
    """The snapshot is a moment behind; the database refuses."""
    who = await house.key("laptop", allow=["self/whoami"])
    row = {
        "id": who.id, "org_id": who.org, "name": "laptop", "role": None, "read_only": 0,
        "expires_at": None, "permissions": "{}", "edition": 0,
    }  # fmt: skip
    await house.db.write(Step("key.edit", row, expect=1))
    with pytest.raises(Conflict, match="changed meanwhile"):
        await house.keys.edit(house.owner, KeyEdit(key="laptop", allow=["self/status"]))


async def test_nothing_is_decided_on_a_snapshot_that_is_too_old(house: Floors) -> None:
    made = await house.keys.add(house.owner, KeyAdd(name="laptop"))
    house.clock.advance(31)
    with pytest.raises(Unavailable):
        house.keys.authenticate(made.key)
