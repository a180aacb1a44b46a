"""How long keys live: what is said, and what holds where nothing is."""

import pytest

from meshd.services.lifetimes import Lifetimes, span_text
from meshd.wire.errors import BadRequest
from meshd.wire.key import KeyAdd, KeyEdit
from tests.support.floors import Floors

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
NOW = 1_000 * DAY


@pytest.mark.parametrize(
    ("default", "most", "text", "expires"),
    [
        (None, None, None, None),
        (None, None, "90d", NOW + 90 * DAY),
        (7 * DAY, None, None, NOW + 7 * DAY),
        (7 * DAY, None, "90d", NOW + 90 * DAY),
        (None, 30 * DAY, None, NOW + 30 * DAY),
        (7 * DAY, 30 * DAY, None, NOW + 7 * DAY),
        (7 * DAY, 30 * DAY, "30d", NOW + 30 * DAY),
    ],
)
def test_a_new_key_expires(default, most, text, expires) -> None:
    assert Lifetimes(default, most).of_new(text, NOW, "x") == expires


@pytest.mark.parametrize("text", [None, "31d", "9999-01-01"])
def test_no_key_is_made_to_live_longer_than_one_may(text: str | None) -> None:
    """Nor for ever."""
    with pytest.raises(BadRequest) as refused:
        Lifetimes(most=30 * DAY).checked(text, NOW, "meshctl key edit laptop")
    assert refused.value.next == "meshctl key edit laptop --expires 30d"


@pytest.mark.parametrize(
    ("span", "text"),
    [(365 * DAY, "365d"), (36 * HOUR, "36h"), (90 * 1_000_000, "90s"), (60_000_000, "1m")],
)
def test_a_span_as_it_is_written(span: int, text: str) -> None:
    assert span_text(span) == text


@pytest.mark.parametrize(
    ("most", "expires", "after"),
    [
        (None, None, None),
        (None, NOW + 9 * DAY, NOW + 9 * DAY),
        (DAY, None, NOW + DAY),
        (DAY, NOW + 9 * DAY, NOW + DAY),
        (DAY, NOW + HOUR, NOW + HOUR),
    ],
)
def test_a_new_secret_never_lives_too_long(
    most: int | None, expires: int | None, after: int | None
) -> None:
    assert Lifetimes(most=most).shortened(expires, NOW) == after


async def test_a_key_that_is_rotated_heeds_it(house: Floors) -> None:
    """The new secret is as new as that of a new key."""
    await house.keys.add(house.owner, KeyAdd(name="old"))
    house.keys.lifetimes.most = DAY
    rotated = await house.keys.rotate(house.owner, "old")
    assert rotated.expires_at == "2026-11-24T12:00:00.000000Z"
    house.clock.advance(86_400)
    await house.directory.refresh()
    assert house.keys.authenticate(rotated.key) is None


async def test_keys_heed_it_when_issued_and_when_edited(house: Floors) -> None:
    """What does not touch the expiry of a key that is there is allowed, however old that key is."""
    old = await house.keys.add(house.owner, KeyAdd(name="old"))
    house.keys.lifetimes.default, house.keys.lifetimes.most = DAY, 2 * DAY
    made = await house.keys.add(house.owner, KeyAdd(name="new"))
    assert (old.expires_at, made.expires_at) == (None, "2026-11-24T12:00:00.000000Z")
    with pytest.raises(BadRequest) as refused:
        await house.keys.add(house.owner, KeyAdd(name="long", expires="3d"))
    assert refused.value.next == "meshctl key add long --expires 2d"
    for expires in (None, "3d"):
        with pytest.raises(BadRequest) as refused:
            await house.keys.edit(house.owner, KeyEdit(key="new", expires=expires))
        assert refused.value.next == "meshctl key edit new --expires 2d"
    assert (await house.keys.edit(house.owner, KeyEdit(key="old", role="user"))).expires_at is None
    assert (await house.keys.edit(house.owner, KeyEdit(key="new", expires="2d"))).expires_at
