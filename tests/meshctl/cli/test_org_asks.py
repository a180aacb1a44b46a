"""What `meshctl org remove` wants typed before it does anything."""

import pytest

from meshd.wire.org import OrgRef

TEAM = {
    "id": "org_0a1b2c3d4e5f6g7h",
    "name": "team",
    "created_at": "2026-11-23T14:58:00Z",
    "connections": 2,
    "keys": 3,
}


@pytest.mark.parametrize(
    ("typed", "done"), [("team\n", True), ("y\n", False), ("yes\n", False), ("\n", False)]
)
def test_the_name_is_typed(scripted, typed, done):
    scripted.answers |= {"org.show": TEAM, "org.remove": {"id": TEAM["id"], "name": "team"}}
    code, _, err = scripted.run("org", "remove", "team", stdin=typed, terminal=True)
    assert 'remove org "team" with 2 connections and 3 keys?' in err
    assert (code == 0) is done
    assert (("org.remove", OrgRef(TEAM["id"])) in scripted.asked) is done


def test_the_card_says_what_it_holds(scripted):
    scripted.answers["org.show"] = TEAM
    code, out, _ = scripted.run("org", "show", "team")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "name", "id", "connections", "keys", "created",
    ]  # fmt: skip
