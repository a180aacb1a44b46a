"""A burst of calls: the screen stays alive, and nothing is miscounted."""

import asyncio
import threading
from time import perf_counter

import pytest

from meshctl.tui.app import PAINT_SECONDS
from meshctl.tui.widgets.rows import Rows
from meshctl.tui.widgets.tail import LINES
from tests.meshctl.tui import things
from tests.meshctl.tui.screen import dashboard

FLOOD = 20_000


async def test_a_flood_is_painted_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paint per tick and not per call, each of what is in sight only; keys work meanwhile."""
    drawn = 0
    row = Rows._row

    def counted(self: Rows, index: int):
        nonlocal drawn
        drawn += 1
        return row(self, index)

    async with dashboard(120, 36) as shown:
        steps = 0
        arrived = shown.app.board.arrived

        def stepped(calls, happened) -> None:
            nonlocal steps
            steps += 1
            arrived(calls, happened)

        monkeypatch.setattr(Rows, "_row", counted)
        monkeypatch.setattr(shown.app.board, "arrived", stepped)

        def produce() -> None:
            for number in range(6, 6 + FLOOD):
                shown.feed.bring_calls(things.call(number, ok=number % 2 == 0))

        thread = threading.Thread(target=produce)
        thread.start()
        await shown.press("down")
        await shown.sees(f"calls       {FLOOD + 5}", f"failed      {FLOOD // 2 + 1}")
        thread.join()
        assert shown.app.board.connections.selected == things.CONNECTIONS[1]
        assert shown.app.board.calls.selected is not None
        assert shown.app.board.calls.selected["id"] == f"call_{FLOOD + 5}"
        assert len(shown.app.board.calls.items) == LINES
        assert steps < FLOOD / 100
        assert drawn < 36 * 10 * (steps + 10)


async def test_a_trickle_is_painted_once_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that come one by one wait for each other, a tenth of a second at most."""
    async with dashboard() as shown:
        steps = 0
        arrived = shown.app.board.arrived

        def stepped(calls, happened) -> None:
            nonlocal steps
            steps += 1
            arrived(calls, happened)

        monkeypatch.setattr(shown.app.board, "arrived", stepped)
        begun = perf_counter()
        for number in range(6, 106):
            shown.feed.bring_calls(things.call(number))
            through = asyncio.Event()
            shown.app.call_later(through.set)
            await through.wait()
        await shown.sees("calls         105")
        assert steps <= (perf_counter() - begun) / PAINT_SECONDS + 1


async def test_what_is_read_stays_during_a_flood() -> None:
    """A selected call is not swept away under the cursor."""
    async with dashboard() as shown:
        await shown.press("tab", "up")
        shown.feed.bring_calls(*(things.call(number) for number in range(6, 6 + FLOOD)))
        await shown.sees(f"still, {FLOOD} more")
        assert shown.app.board.calls.selected is not None
        assert shown.app.board.calls.selected["id"] == "call_4"
