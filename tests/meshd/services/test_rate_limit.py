"""Token buckets: what passes in which time, per key, in bounded memory."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.services import rate_limit
from meshd.services.principal import Principal
from meshd.services.rate_limit import Bucket, RateLimit
from meshd.wire.errors import RateLimited


@dataclass
class Time:
    """Seconds, moved by hand."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def who(name: str, kind: str = "key") -> Principal:
    return Principal(id=f"key_{name}", name=name, kind=kind, org="o", owner="u", permissions={})


def test_a_minutes_worth_at_once_then_as_they_come() -> None:
    time = Time()
    limit = RateLimit(6, time)
    for _ in range(6):
        limit.check(who("a"))
    with pytest.raises(RateLimited) as refused:
        limit.check(who("a"))
    assert refused.value.facts == {"retry_after_s": "10"}
    limit.check(who("b"))
    time.now += 10
    limit.check(who("a"))
    with pytest.raises(RateLimited):
        limit.check(who("a"))


def test_no_limit_and_no_key() -> None:
    """Off by default; the socket's owner is never counted."""
    off, on = RateLimit(None, Time()), RateLimit(1, Time())
    for _ in range(3):
        off.check(who("a"))
        on.check(who("a", "local"))
    assert len(off) == len(on) == 0


def test_full_buckets_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a key used up stays counted however many others come."""
    monkeypatch.setattr(rate_limit, "MANY", 10)
    time = Time()
    limit = RateLimit(60, time)
    for number in range(10):
        limit.check(who(str(number)))
    time.now += 0.5
    limit.check(who("9"))
    time.now += 0.7
    limit.check(who("new"))
    assert len(limit) == 2


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 20))
def test_never_more_than_the_limit_and_what_came(pauses: list[float], per_minute: int) -> None:
    """And who waits as long as told is served."""
    now, bucket, taken = 0.0, Bucket(per_minute, 0.0), 0
    for pause in pauses:
        now += pause
        wait = bucket.take(now, per_minute)
        taken += not wait
        assert taken <= per_minute + now * per_minute / 60 + 1e-6
        if wait:
            now += wait + 1e-6
            assert bucket.take(now, per_minute) == 0
            taken += 1
