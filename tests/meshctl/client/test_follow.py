"""Tails across a daemon that goes away: nothing twice, nothing missed, and an end to waiting."""

import pytest

from meshctl.client import follow as module
from meshctl.client.follow import follow
from meshd.wire.errors import DaemonDown, Denied, Unavailable


class Scenes:
    """Streams in order; an item that is an error is raised in its place."""

    def __init__(self, *scenes):
        self.scenes = list(scenes)
        self.queries = []
        self.notes = []
        self.now = 0.0

    def start(self, query):
        """Open the next scene."""
        self.queries.append(dict(query))
        for item in self.scenes.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item

    def pause(self, seconds):
        """Time passes only here."""
        self.now += seconds

    def follow(self, **query):
        """All items under a query."""
        return list(
            follow(
                self.start,
                query,
                "seq",
                self.notes.append,
                clock=lambda: self.now,
                sleep=self.pause,
            )
        )


def items(*numbers):
    return [{"seq": number} for number in numbers]


def test_a_cut_continues_behind_the_last_item():
    """The cursor moves with every item, `since` has served, and one line says what happened."""
    scenes = Scenes(
        [None, *items(1, 2), DaemonDown()],
        [DaemonDown()],
        [None, *items(3)],
    )
    assert scenes.follow(since="1h", follow=True, limit=3, filter=["a=b"]) == items(1, 2, 3)
    rest = {"follow": True, "filter": ["a=b"]}
    assert scenes.queries == [
        {"since": "1h", "limit": 3, **rest},
        {"after": 2, "limit": 1, **rest},
        {"after": 2, "limit": 1, **rest},
    ]
    assert scenes.notes == ["reconnected after 1s, nothing missed"]


def test_the_daemon_says_goodbye():
    """A stream that is ended because the daemon restarts is a cut; so is a clean end."""
    scenes = Scenes(
        [None, *items(1), Unavailable("meshd stops")], [None, *items(2)], [None, *items(3)]
    )
    assert scenes.follow(follow=True, limit=3) == items(1, 2, 3)
    assert len(scenes.notes) == 2


def test_a_cut_before_the_first_item(monkeypatch):
    """Without a cursor it continues from when the tail began."""
    monkeypatch.setattr(module, "_now", lambda: "2026-11-23T14:00:00.000Z")
    scenes = Scenes([None, DaemonDown()], [None, *items(5), DaemonDown()], [None, *items(6)])
    assert scenes.follow(follow=True, limit=2) == items(5, 6)
    assert [query.get("since") for query in scenes.queries] == [
        None, "2026-11-23T14:00:00.000Z", None,
    ]  # fmt: skip


def test_no_daemon_at_the_start():
    """Then there is nothing to come back to."""
    with pytest.raises(DaemonDown):
        Scenes([DaemonDown()]).follow(follow=True)


def test_errors_that_mean_something_end_it():
    """A revoked right does not come back by asking again."""
    with pytest.raises(Denied):
        Scenes([None, Denied()]).follow(follow=True)


def test_without_follow_an_end_is_the_end():
    """And a cut one is an error: nobody asked to wait."""
    assert Scenes([None, *items(1, 2)]).follow(follow=False) == items(1, 2)
    with pytest.raises(DaemonDown):
        Scenes([None, *items(1), DaemonDown()]).follow(follow=False)


def test_waiting_has_an_end():
    """A daemon that stays away is down."""
    scenes = Scenes([None, *items(1), DaemonDown()], *([DaemonDown()] for _ in range(1000)))
    with pytest.raises(DaemonDown):
        scenes.follow(follow=True)
    assert scenes.now == pytest.approx(module.PATIENCE_SECONDS, abs=1)


def test_now_is_an_instant_in_utc():
    """With milliseconds: what happened in the same second before is not shown."""
    from datetime import UTC, datetime, timedelta

    assert abs(datetime.fromisoformat(module._now()) - datetime.now(UTC)) < timedelta(seconds=5)
