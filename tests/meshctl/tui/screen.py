"""The dashboard as a test drives it: on a fake feed, at a fixed time, read as text."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from textual._context import visible_screen_stack
from textual.app import App
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.strip import Strip

from meshctl.render.look import Look
from meshctl.tui.app import Dashboard
from tests.meshctl.tui import things
from tests.meshctl.tui.fake_feed import FakeFeed

DEADLINE = 20.0


def strips(app: App[Any]) -> list[Strip]:
    """The lines as they go to the terminal, dialogs included, styles filtered."""
    visible_screen_stack.set(app._background_screens)  # what shows through beside a dialog
    return app.screen._compositor.render_strips(app.size)


def text(app: App[Any]) -> str:
    """The whole screen as a person without colours would see it."""
    return "".join(f"{strip.text.rstrip()}\n" for strip in strips(app))


@dataclass
class Shown:
    """A running dashboard."""

    app: Dashboard
    feed: FakeFeed
    pilot: Pilot[None]

    @property
    def text(self) -> str:
        return text(self.app)

    async def press(self, *keys: str) -> None:
        """Press keys, each after the one before took effect; what they change is waited for."""
        for key in keys:
            self.post(key)
            # Twice through all queues: from the app to the focused widget, and up again.
            for _ in range(2):
                through = asyncio.Event()
                self.app.call_later(through.set)
                await asyncio.wait_for(through.wait(), DEADLINE)
                await self.pilot._wait_for_screen()

    def post(self, key: str) -> None:
        """Press a key that may end the app."""
        named = {"slash": "/", "question_mark": "?", "space": " "}
        char = key if len(key) == 1 else named.get(key)
        self.app.post_message(Key(_character_to_key(char) if char else key, char))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for the screen to become so."""
        try:
            async with asyncio.timeout(DEADLINE):
                while not holds():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"it did not come to that; the screen is:\n{self.text}") from None

    async def sees(self, *words: str) -> str:
        """Wait until all these words are on the screen."""
        await self.until(lambda: all(word in self.text for word in words))
        return self.text

    async def loses(self, word: str) -> str:
        """Wait until this word is gone."""
        await self.until(lambda: word not in self.text)
        return self.text

    async def fill(self) -> None:
        """The usual things."""
        self.feed.bring_facts(things.STATUS, things.CONNECTIONS)
        self.feed.bring_calls(*things.CALLS)
        self.feed.bring_events(*things.EVENTS)
        self.feed.stands("facts", "calls", "events")
        board = self.app.board
        panels = (board.connections, board.calls, board.events)
        await self.until(lambda: all(panel.items for panel in panels))

    async def turn_to_bus(self) -> None:
        """The other view, with the usual things."""
        await self.press("b")
        self.feed.bring_bus(things.STATS, things.DEAD, things.DELIVERIES, things.SUBSCRIPTIONS)
        await self.sees("Dead letters ─ 2" if not self.app.look().ascii else "Dead letters - 2")
        await self.until(lambda: self.app.focused is self.app.board.dead)


@asynccontextmanager
async def dashboard(
    width: int = 80, height: int = 24, *, plain: bool = False, filled: bool = True
) -> AsyncIterator[Shown]:
    """A dashboard; `plain` is what MESHCTL_ASCII asks for."""
    look = Look(now=things.NOW, ascii=plain, colour=True)
    app = Dashboard(FakeFeed, look, now=lambda: things.NOW)
    feed = app.feed
    assert isinstance(feed, FakeFeed)
    async with app.run_test(size=(width, height)) as pilot:
        await asyncio.wait_for(feed.started.wait(), DEADLINE)
        shown = Shown(app, feed, pilot)
        if filled:
            await shown.fill()
        yield shown
