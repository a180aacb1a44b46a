"""The threads behind the screen: where they start, how they come back, how they end."""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest

from meshctl.client.client import Client
from meshctl.tui import feed
from meshctl.tui.feed import RECENT, Feed
from meshctl.tui.inbox import Inbox
from meshctl.tui.messages import Arrived, BusFacts, Facts, Lost, Stands
from meshd.wire.calls.connection import TEST
from meshd.wire.connection import ConnectionRef
from meshd.wire.errors import DaemonDown, UpstreamFailed
from tests.meshctl.tui.fake_client import FakeClient, Hold
from tests.support.daemon import Daemon
from tests.support.wait import until

QUIET: dict[str, list[list[Any]]] = {"call.tail": [[None, Hold]], "event.tail": [[None, Hold]]}
ANSWERS: dict[str, Any] = {
    "status": lambda: {"daemon": {}},
    "connection.list": list,
    "call.list": list,
}


class Running:
    """A feed on a script, with everything it posted."""

    def __init__(self, answers: dict[str, Any], streams: dict[str, Any]) -> None:
        self.client = FakeClient(ANSWERS | answers, QUIET | streams)
        self.posted: queue.Queue[Any] = queue.Queue()
        self.feed = Feed(self.client, self.posted.put)
        self.feed.start()

    def next(self, kind: type, source: str | None = None) -> Any:
        """The next message of a kind, and of a source if it has any."""
        while True:
            message = self.posted.get(timeout=10)
            if isinstance(message, kind) and source in {None, getattr(message, "source", None)}:
                return message

    def asked(self, name: str) -> Any:
        """What the next call of that name asks."""
        while True:
            called, asks = self.client.asked.get(timeout=10)
            if called == name:
                return asks

    def taken(self, inbox: Inbox, count: int) -> list[Any]:
        """So many items, as soon as they are there."""
        items: list[Any] = []
        until(lambda: items.extend(inbox.take()) or len(items) >= count)
        return items


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    made = []
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.05)

    def start(streams: dict[str, Any] | None = None, **answers: Any) -> Running:
        dotted = {name.replace("_", "."): answer for name, answer in answers.items()}
        made.append(Running(dotted, streams or {}))
        return made[-1]

    yield start
    for running in made:
        running.feed.stop()
        running.client.end()
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("tui ")])


def record(seq: int, age: float = 0.0) -> dict[str, Any]:
    return {"seq": seq, "at": (datetime.now(UTC) - timedelta(seconds=age)).isoformat()}


def test_facts_are_asked_again_and_again(run) -> None:
    """For as long as the screen is open."""
    running = run()
    assert running.next(Facts).connections == []
    running.next(Facts)
    running.next(Facts)


def test_facts_are_asked_at_once_when_that_is_wished(run, monkeypatch) -> None:
    """The next turn may be far away."""
    running = run()
    monkeypatch.setattr(feed, "POLL_SECONDS", 60.0)
    running.next(Stands, "facts")
    for _ in range(3):
        running.feed.refresh()
        running.next(Facts)


def test_the_bus_is_asked_about_only_while_somebody_watches(run) -> None:
    """Its counts cost the daemon something."""
    running = run(event_stats=lambda: {"n": 1}, delivery_list=list, subscription_list=list)
    running.client.answers["event.dead_list"] = [list]
    for _ in range(3):
        running.next(Facts)
    running.feed.watch_bus(True)
    assert running.next(BusFacts).stats == {"n": 1}
    assert running.asked("event.dead_list").limit == feed.BUS_ROWS
    assert running.asked("delivery.list").limit == feed.BUS_ROWS
    running.feed.watch_bus(False)
    running.next(Facts)  # of the round that was under way
    while not running.posted.empty():
        running.posted.get()
    rounds = [running.posted.get(timeout=10) for _ in range(4)]
    assert sum(isinstance(one, BusFacts) for one in rounds) <= 1


def test_a_real_daemon_says_how_its_bus_stands(shared_daemon: Daemon) -> None:
    """All that the view shows of it."""
    posted: queue.Queue[Any] = queue.Queue()
    follower = Feed(Client(shared_daemon.socket), posted.put)
    follower.watch_bus(True)
    follower._ask_facts(follower.stop)  # one round
    facts, found = posted.get_nowait(), posted.get_nowait()
    assert isinstance(facts, Facts)
    assert found.stats["states"]["dead"] == len(found.dead) == 0
    assert set(found.stats["subscriptions"]) == {"active", "paused"}
    assert isinstance(found.deliveries, list)
    assert isinstance(found.subscriptions, list)


def test_calls_begin_with_what_was_listed(run) -> None:
    """Oldest first, and the stream starts behind the newest."""
    running = run(call_list=lambda: [record(7), record(4)])
    assert [item["seq"] for item in running.taken(running.feed.calls, 2)] == [4, 7]
    assert running.asked("call.tail").after == 7


def test_where_nothing_was_called_the_stream_begins_at_the_beginning(run) -> None:
    """A call between list and stream would else be lost."""
    assert run().asked("call.tail").after == 0


@pytest.mark.parametrize(("age", "since"), [(10.0, "300s"), (3000.0, None)])
def test_on_a_busy_daemon_the_stream_brings_the_whole_window(run, age, since) -> None:
    """More calls than are listed may belong to the numbers."""
    running = run(call_list=lambda: [record(n, age) for n in range(RECENT, 0, -1)])
    asks = running.asked("call.tail")
    assert (asks.since, asks.after) == (since, None if since else RECENT)
    if since:
        assert running.feed.calls.take() == []


@pytest.mark.parametrize(("name", "cursor"), [("call.tail", "seq"), ("event.tail", "meshseq")])
def test_a_cut_stream_goes_on_behind_its_last_item(run, name: str, cursor: str) -> None:
    """Nothing is missed, nothing comes twice."""
    runs = [[None, {cursor: 8}, {cursor: 9}, DaemonDown()], [None, {cursor: 10}, Hold]]
    running = run({name: runs})
    source = {"call.tail": "calls", "event.tail": "events"}[name]
    running.asked(name)
    running.next(Lost, source)
    running.feed.refresh()
    assert running.asked(name).after == 9
    inbox = getattr(running.feed, source)
    assert [item[cursor] for item in running.taken(inbox, 3)] == [8, 9, 10]


def test_a_stream_that_ends_is_lost_too(run) -> None:
    """A daemon that shuts down ends its answers in good order."""
    assert run({"call.tail": [[None]]}).next(Lost, "calls").error.code == "daemon_down"


def test_retries_come_later_and_later(run, monkeypatch) -> None:
    """1, 2, 4, 8, then every 10 seconds; the message says when."""
    monkeypatch.setattr(feed, "monotonic", lambda: 0.0)
    running = run({"call.tail": [[DaemonDown()]]})
    pauses = []
    for _ in range(6):
        pauses.append(running.next(Lost, "calls").retry_at)
        running.feed.refresh()
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_success_makes_patience_short_again(run, monkeypatch) -> None:
    """The next loss is a first one."""
    monkeypatch.setattr(feed, "monotonic", lambda: 0.0)
    running = run({"call.tail": [[DaemonDown()], [DaemonDown()], [None, DaemonDown()], [Hold]]})
    for pause in (1, 2, 1):
        assert running.next(Lost, "calls").retry_at == pause
        running.feed.refresh()


def test_one_source_that_comes_back_wakes_the_others(run) -> None:
    """They would wait for up to ten seconds, though the daemon is there."""
    running = run({"call.tail": [[DaemonDown()]]})
    for _ in range(3):
        running.next(Lost, "calls")
        running.feed.refresh()
    waits_until = running.next(Lost, "calls").retry_at
    running.client.answers["status"] = [DaemonDown(), dict]
    assert running.next(Lost, "facts").retry_at < waits_until - 4
    running.next(Stands, "facts")
    running.next(Lost, "calls")
    assert monotonic() < waits_until - 2


def test_a_failure_that_nobody_foresaw_is_told(run) -> None:
    """A thread that died in silence would leave a panel standing still."""
    error = run({"event.tail": [[RuntimeError("odd")]]}).next(Lost, "events").error
    assert error.code == "internal"
    assert "odd" in error.message


def test_a_ring_per_filling_and_not_per_item(run) -> None:
    """However many items come before they are taken."""
    running = run({"call.tail": [[*(record(n) for n in range(1000)), Hold]]})
    running.next(Arrived)
    items: list[Any] = []
    until(lambda: items.extend(running.feed.calls.take()) or len(items) >= 1000)
    rings = 1
    while not running.posted.empty():
        rings += isinstance(running.posted.get(), Arrived)
    assert rings < 1000


async def test_a_question_gets_its_answer_or_its_error(run) -> None:
    """On the loop of who asks."""
    running = run(connection_test=[lambda: {"ok": 1}, UpstreamFailed("401")])
    assert await running.feed.ask(TEST, ConnectionRef("x")) == {"ok": 1}
    with pytest.raises(UpstreamFailed, match="401"):
        await running.feed.ask(TEST, ConnectionRef("x"))


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped(run) -> None:
    """The screen may close while a test runs."""
    go = threading.Event()
    running = run(connection_test=go.wait)
    future = running.feed.ask(TEST, ConnectionRef("x"))
    future.cancel()
    go.set()
    await asyncio.to_thread(
        until, lambda: "tui connection.test" not in {t.name for t in threading.enumerate()}
    )
    await asyncio.sleep(0)  # what the thread left on the loop runs now
    assert future.cancelled()


def test_threads_keep_nobody_from_quitting(run) -> None:
    """A read of a silent stream ends when it likes."""
    run()
    mine = [t for t in threading.enumerate() if t.name.startswith("tui ")]
    assert len(mine) == 3
    assert all(thread.daemon for thread in mine)


def test_a_full_inbox_makes_the_thread_wait() -> None:
    """It is slowed down; nothing is dropped, nothing piles up."""
    inbox = Inbox(room=2)
    assert [inbox.put({}), inbox.put({})] == [True, False]
    thread = threading.Thread(target=inbox.put, args=[{"last": 1}])
    thread.start()
    until(lambda: inbox._changed._waiters)  # type: ignore[attr-defined]
    assert inbox.take() == [{}, {}]
    thread.join(5)
    assert inbox.take() == [{"last": 1}]


def test_a_closed_inbox_lets_a_thread_go() -> None:
    """Else it would wait for a screen that is gone."""
    inbox = Inbox(room=1)
    inbox.put({})
    thread = threading.Thread(target=inbox.put, args=[{}])
    thread.start()
    inbox.close()
    thread.join(5)
    assert not thread.is_alive()


def test_nothing_is_missed_while_a_real_daemon_restarts(daemon: Daemon) -> None:
    """The cursor is the daemon's own."""
    daemon.connect_http("dead", "http://127.0.0.1:9/mcp")
    key = daemon.add_key("ci")
    posted: queue.Queue[Any] = queue.Queue()
    follower = Feed(Client(daemon.socket), posted.put)
    follower.start()
    items: list[Any] = []

    def called(tool: str) -> None:
        daemon.rpc("dead", "tools/call", {"name": tool, "arguments": {}}, key=key)

    def came(*tools: str) -> None:
        until(lambda: items.extend(follower.calls.take()) or len(items) >= len(tools))
        assert [item["tool"] for item in items] == list(tools)

    called("one")
    came("one")
    daemon.kill()
    daemon.start()
    called("two")
    called("three")
    came("one", "two", "three")
    follower.stop()
    daemon.kill()  # hangs up, so that the threads end
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("tui ")])
