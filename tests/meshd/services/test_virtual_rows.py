"""A virtual MCP survives the tables and names its state by what is in it."""

from dataclasses import replace

from meshd.services.subscription_rows import stored_maker
from meshd.services.virtual_rows import ChildRow, Override, from_stored, stored_child
from meshd.store.db import Step
from tests.support.floors import Floors

CHILDREN = (
    ChildRow("conn_b", tools=("create_*",), resources=(), prompts=None),
    ChildRow(
        "conn_a",
        overrides={
            "create_issue": Override(
                "file_bug", "Files a bug.", ("labels",), {"repo": b'{"a":[1]}'}
            )
        },
    ),
)
ROW = {
    "id": "vir_1", "org_id": "org_1", "name": "v", "description": "", "instructions": None,
    "mode": "passthrough", "naming": "prefixed", "enabled": 1, "owner_id": "usr_1",
    "created_at": 1, "edition": 0,
}  # fmt: skip


def columns(child: ChildRow) -> dict[str, object]:
    return {"virtual_id": "vir_1", **stored_child(child)}


def test_children_come_back_as_they_were_stored(house: Floors) -> None:
    row = {**ROW, "maker": stored_maker(house.owner)}
    found = from_stored([row], map(columns, CHILDREN))["vir_1"]
    assert found.children == CHILDREN
    assert found.maker.permissions == house.owner.permissions


def test_a_revision_changes_with_what_is_selected_and_with_nothing_else(house: Floors) -> None:
    row = {**ROW, "maker": stored_maker(house.owner)}

    def revision(children: tuple[ChildRow, ...], **other: object) -> str:
        return from_stored([{**row, **other}], map(columns, children))["vir_1"].revision

    first = revision(CHILDREN)
    assert revision(CHILDREN, edition=7) == first
    assert revision(CHILDREN[::-1]) != first
    assert revision((replace(CHILDREN[0], prompts=()), CHILDREN[1])) != first
    assert revision(CHILDREN, mode="smart_tool_selection") != first


async def test_the_snapshot_has_them_by_id_and_by_name(house: Floors) -> None:
    who = house.owner
    added = {
        "id": "vir_1", "name": "v", "description": "", "instructions": "Ask first.",
        "mode": "passthrough", "naming": "plain", "maker": stored_maker(who),
        "owner_id": who.owner, "now": 5,
    }  # fmt: skip
    bump = Step("revision.bump", {"topic": "connections"})
    await house.scoped.org(who.org).write(Step("virtual.add", added, expect=1), bump)
    await house.directory.refresh()
    view = house.directory.view
    assert view.virtuals["vir_1"] is view.virtual_by_name[who.org, "v"]
    assert view.virtuals["vir_1"].instructions == "Ask first."
