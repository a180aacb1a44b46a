"""Names and ids to things, within one org."""

import pytest

from meshd.services.lookup import MAX_COMPARED, find_connection, find_key
from meshd.wire.connection import ConnectionAdd
from meshd.wire.errors import NotFound
from tests.support.floors import Floors


async def test_by_name_in_any_case_and_by_id(house: Floors) -> None:
    made = await house.connections.add(
        house.owner, ConnectionAdd(name="github", url="http://127.0.0.1:1/")
    )
    key = await house.key("laptop")
    view, org = house.directory.view, house.owner.org
    for name in ("github", "GitHub", made.id):
        assert find_connection(view, org, name).id == made.id
    for name in ("laptop", "LAPTOP", key.id):
        assert find_key(view, org, name).principal is key
    for name in ("", "git", made.id.upper(), key.id, "*", "self"):
        with pytest.raises(NotFound):
            find_connection(view, org, name)


async def test_a_wrong_name_is_answered_with_the_nearest(house: Floors) -> None:
    await house.connections.add(
        house.owner, ConnectionAdd(name="github", url="http://127.0.0.1:1/")
    )
    view, org = house.directory.view, house.owner.org
    with pytest.raises(NotFound) as refused:
        find_connection(view, org, "githib\x1b")
    assert refused.value.facts == {"did you mean": "github"}
    assert refused.value.message.isprintable()
    with pytest.raises(NotFound) as refused:
        find_connection(view, org, "githib", suggest=False)
    assert refused.value.facts == {}
    with pytest.raises(NotFound) as refused:
        find_connection(view, "org_other", "githib")
    assert refused.value.facts == {}
    assert MAX_COMPARED
