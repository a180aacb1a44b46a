"""The threads that ask the daemon: one per stream, one for how things stand, one per question.

They touch nothing that is shown: they fill inboxes and post messages. When the daemon is lost they
ask again, later and later, and continue behind the last item that they had.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from threading import Condition, Thread
from time import monotonic
from typing import Any, Protocol

from msgspec import Struct
from textual.message import Message

from meshctl.render.when import instant
from meshctl.tui.inbox import Inbox, Item
from meshctl.tui.messages import Arrived, BusFacts, Facts, Lost, Stands
from meshctl.tui.numbers import WINDOW_SECONDS
from meshd.wire.call import RecordList, RecordTail
from meshd.wire.calls import call, connection, daemon, delivery, event, subscription
from meshd.wire.calls.row import Call
from meshd.wire.delivery import DeadList, DeliveryList
from meshd.wire.errors import DaemonDown, Internal, MeshError
from meshd.wire.event import EventTail

POLL_SECONDS = 2.0
LONGEST_PAUSE = 10.0
PATIENCE_SECONDS = 180.0
"""For one question: a stdio server may install itself when it is first tested."""

RECENT = 500
"""Calls that are fetched before the stream begins."""

BUS_ROWS = 100
"""Newest dead letters that are fetched, and newest deliveries."""


class Asker(Protocol):
    """What is needed of `client.Client`."""

    def call(self, row: Call, asks: Struct | None = None, *, timeout: float | None = None) -> Any:
        """The answer of a control call."""

    def stream(self, row: Call, asks: Struct | None = None) -> Iterator[Item | None]:
        """The items of a call that streams, None for signs of life."""


@dataclass(frozen=True, slots=True)
class _Stream:
    """One stream. `begin` gives what is known already, and where the stream starts."""

    name: str
    row: Call
    asks: Callable[..., Struct]
    cursor: str
    begin: Callable[[Asker], tuple[list[Item], dict[str, Any]]]


def _recent_calls(client: Asker) -> tuple[list[Item], dict[str, Any]]:
    older: list[Item] = client.call(call.LIST, RecordList(limit=RECENT))[::-1]
    if not older:
        return [], {"after": 0}
    age = datetime.now(UTC) - instant(older[0]["at"])
    if len(older) == RECENT and age.total_seconds() < WINDOW_SECONDS:
        # More calls than were listed belong to the numbers: the stream brings all of them.
        return [], {"since": f"{WINDOW_SECONDS}s"}
    return older, {"after": older[-1]["seq"]}


def _recent_events(_client: Asker) -> tuple[list[Item], dict[str, Any]]:
    return [], {"since": "1d"}


class Feed:
    """Follows one daemon. `post` must be safe to call from any thread."""

    def __init__(self, client: Asker, post: Callable[[Message], Any]) -> None:
        self._client = client
        self._post = post
        self._round = 0
        self._closed = False
        self._bus_watched = False
        self._turned = Condition()
        self.calls = Inbox()
        self.events = Inbox()

    def start(self) -> None:
        """Begin to follow."""
        calls = _Stream("calls", call.TAIL, RecordTail, "seq", _recent_calls)
        events = _Stream("events", event.TAIL, EventTail, "meshseq", _recent_events)
        self._run("tui facts", partial(self._keep, "facts", self._ask_facts))
        self._run("tui calls", partial(self._keep, "calls", self._follower(calls, self.calls)))
        self._run("tui events", partial(self._keep, "events", self._follower(events, self.events)))

    def stop(self) -> None:
        """Let every thread end at its next step."""
        self.calls.close()
        self.events.close()
        with self._turned:
            self._closed = True
            self._turned.notify_all()

    def refresh(self) -> None:
        """Ask now what would be asked later, retries included."""
        with self._turned:
            self._round += 1
            self._turned.notify_all()

    def watch_bus(self, on: bool) -> None:
        """Ask how the bus stands as well, or not any more: it costs the daemon a count."""
        self._bus_watched = on
        if on:
            self.refresh()

    def ask(self, row: Call, asks: Struct | None = None) -> asyncio.Future[Any]:
        """The answer of one control call, to be awaited on the screen's loop.

        Raises:
            MeshError: as the client.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(put: Callable[[Any], None], outcome: Any) -> None:
            if not future.done():
                put(outcome)

        def work() -> None:
            try:
                answer = self._client.call(row, asks, timeout=PATIENCE_SECONDS)
            except Exception as error:  # noqa: BLE001 - it is raised again where it is awaited
                put, outcome = future.set_exception, _known(error)
            else:
                put, outcome = future.set_result, answer
            with suppress(RuntimeError):  # the loop ended meanwhile
                loop.call_soon_threadsafe(settle, put, outcome)

        self._run(f"tui {row.name}", work)
        return future

    @staticmethod
    def _run(name: str, work: Callable[[], None]) -> None:
        # Not Textual's workers: asyncio would wait for them at the end, and a read takes as long
        # as the daemon is silent. A daemonic thread keeps nobody from quitting.
        Thread(target=work, name=name, daemon=True).start()

    def _tell(self, message: Message) -> None:
        with suppress(RuntimeError):  # the loop ended meanwhile
            self._post(message)

    def _keep(self, source: str, once: Callable[[Callable[[], None]], None]) -> None:
        """Do it for ever: `once` calls its argument when it works, and raises when it fails."""
        failures = 0

        def works() -> None:
            nonlocal failures
            if failures:
                self.refresh()  # the other sources need not wait either
            failures = 0
            self._tell(Stands(source))

        while not self._closed:
            try:
                once(works)
            except Exception as error:  # noqa: BLE001 - a thread that ends in silence freezes a panel
                seen = self._round
                failures += 1
                pause = min(2.0 ** (failures - 1), LONGEST_PAUSE)
                self._tell(Lost(source, _known(error), monotonic() + pause))
                self._pause(pause, seen)

    def _pause(self, seconds: float, seen: int) -> None:
        """Wait, but not past a `refresh` since the round `seen`."""
        with self._turned:
            self._turned.wait_for(lambda: self._closed or self._round != seen, seconds)

    def _ask_facts(self, works: Callable[[], None]) -> None:
        first = True
        while not self._closed:
            seen = self._round
            status = self._client.call(daemon.STATUS)
            connections = self._client.call(connection.LIST)
            if first:
                works()
                first = False
            self._tell(Facts(status, connections))
            if self._bus_watched:
                self._tell(self._ask_bus())
            self._pause(POLL_SECONDS, seen)

    def _ask_bus(self) -> BusFacts:
        return BusFacts(
            self._client.call(event.STATS),
            self._client.call(event.DEAD_LIST, DeadList(limit=BUS_ROWS)),
            self._client.call(delivery.LIST, DeliveryList(limit=BUS_ROWS)),
            self._client.call(subscription.LIST),
        )

    def _follower(self, stream: _Stream, inbox: Inbox) -> Callable[[Callable[[], None]], None]:
        where: dict[str, Any] = {}

        def once(works: Callable[[], None]) -> None:
            nonlocal where
            if not where:
                older, where = stream.begin(self._client)
                self._put(inbox, older)
            first = True
            for item in self._client.stream(stream.row, stream.asks(**where)):
                if self._closed:
                    return
                if first:
                    works()
                    first = False
                if item is not None:
                    where = {"after": item[stream.cursor]}
                    self._put(inbox, [item])
            raise DaemonDown("meshd ended the stream", next="meshctl daemon start")

        return once

    def _put(self, inbox: Inbox, items: list[Item]) -> None:
        if inbox.put(*items):
            self._tell(Arrived())


def _known(error: Exception) -> MeshError:
    return error if isinstance(error, MeshError) else Internal(f"{type(error).__name__}: {error}")
