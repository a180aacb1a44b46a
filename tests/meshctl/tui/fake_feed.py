"""A feed without threads or daemon: the test decides what arrives and what is answered."""

import asyncio
from collections.abc import Callable
from typing import Any

from textual.message import Message

from meshctl.tui.feed import Feed
from meshctl.tui.messages import Arrived, BusFacts, Facts, Lost, Stands


class FakeFeed(Feed):
    """`answers` has an answer or an error by the name of a call; `asked` what was asked."""

    def __init__(self, post: Callable[[Message], Any]) -> None:
        super().__init__(None, post)  # type: ignore[arg-type]  # nothing here asks it
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.refreshed = 0
        self.bus_watched = False
        self.started = asyncio.Event()

    def start(self) -> None:
        self.started.set()

    def refresh(self) -> None:
        self.refreshed += 1

    def watch_bus(self, on: bool) -> None:
        self.bus_watched = on

    def ask(self, row: Any, asks: Any = None) -> asyncio.Future[Any]:
        self.asked.append((row.name, asks))
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer = self.answers.get(row.name)
        if isinstance(answer, Exception):
            future.set_exception(answer)
        elif answer is not None:
            future.set_result(answer)
        return future

    def bring_facts(self, status: Any, connections: Any) -> None:
        self._post(Facts(status, connections))

    def bring_bus(self, stats: Any, dead: Any, deliveries: Any, subscriptions: Any) -> None:
        self._post(BusFacts(stats, dead, deliveries, subscriptions))

    def bring_calls(self, *items: Any) -> None:
        """May be called from any thread."""
        if self.calls.put(*items):
            self._post(Arrived())

    def bring_events(self, *items: Any) -> None:
        if self.events.put(*items):
            self._post(Arrived())

    def stands(self, *sources: str) -> None:
        for source in sources:
            self._post(Stands(source))

    def lose(self, source: str, error: Any, retry_at: float) -> None:
        self._post(Lost(source, error, retry_at))
