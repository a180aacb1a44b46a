"""Whole screens as text, against tests/screens/tui/*.txt.

MESHCTL_UPDATE_SCREENS=1 rewrites the pictures.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

import pytest

from meshd.wire.errors import DaemonDown
from tests.meshctl.tui import things
from tests.meshctl.tui.screen import Shown, dashboard

SCREENS = Path(__file__).parents[2] / "screens" / "tui"


async def usual(shown: Shown) -> None:
    """What is seen most of the time."""
    await shown.sees("failed          1", "up 3h 12m")


async def narrow(shown: Shown) -> None:
    """Without the column beside the connections."""
    await shown.sees("5 calls", "github", "14:59")


async def nothing(shown: Shown) -> None:
    """The first day."""
    shown.feed.bring_facts({**things.STATUS, "connections": {}, "calls_today": 0}, [])
    shown.feed.stands("calls", "events")
    await shown.sees("no connections yet", "no calls yet", "no events today")


async def waiting(shown: Shown) -> None:
    """The first paint."""
    await shown.sees("asking meshd")


async def lost(shown: Shown) -> None:
    """Everything stays, but the daemon."""
    shown.feed.lose("facts", DaemonDown(next="meshctl daemon start"), monotonic() + 600)
    await shown.sees("meshd is not running", "lost")


async def keys(shown: Shown) -> None:
    """The help."""
    await shown.press("question_mark")
    await shown.sees("Keys", "quit, also while text is typed")


async def opened(shown: Shown) -> None:
    """A call with its stages."""
    shown.feed.answers["call.show"] = things.DETAIL
    await shown.press("tab", "up", "up", "enter")
    await shown.sees("stages", "channel")


async def bus(shown: Shown) -> None:
    """What becomes of events."""
    await shown.turn_to_bus()
    await shown.sees("a tries it again", "dead")


async def small_bus(shown: Shown) -> None:
    """Where there is little room the events and the dead letters stay."""
    await shown.turn_to_bus()
    await shown.sees("Dead letters", "Events")


async def new_bus(shown: Shown) -> None:
    """Before anybody subscribed."""
    await shown.press("b")
    states = dict.fromkeys(things.STATS["states"], 0)
    stats = {**things.STATS, "states": states, "oldest_waiting_s": None, "subscriptions": {}}
    shown.feed.bring_bus(stats, [], [], [])
    await shown.sees("nothing was given up", "no deliveries yet", "no subscriptions yet")


async def asked(shown: Shown) -> None:
    """Before something is disabled."""
    await shown.press("e")
    await shown.sees("disable github?")


PICTURES: dict[str, tuple[int, int, bool, bool, Callable[[Shown], Awaitable[None]]]] = {
    "usual-80x24": (80, 24, False, True, usual),
    "usual-120x36": (120, 36, False, True, usual),
    "usual-80x24-ascii": (80, 24, True, True, usual),
    "usual-60x18": (60, 18, False, True, narrow),
    "usual-44x14": (44, 14, False, True, narrow),
    "waiting-80x24": (80, 24, False, False, waiting),
    "nothing-80x24": (80, 24, False, False, nothing),
    "lost-80x24": (80, 24, False, True, lost),
    "help-120x36": (120, 36, False, True, keys),
    "call-80x24": (80, 24, False, True, opened),
    "bus-80x24": (80, 24, False, True, bus),
    "bus-120x36": (120, 36, False, True, bus),
    "bus-80x24-ascii": (80, 24, True, True, bus),
    "bus-44x14": (44, 14, False, True, small_bus),
    "bus-nothing-80x24": (80, 24, False, True, new_bus),
    "confirm-80x24": (80, 24, False, True, asked),
}
"""Name: width, height, ASCII only, filled with the usual things, what is done then."""


@pytest.mark.parametrize("name", PICTURES)
async def test_the_screen_is_as_drawn(name: str) -> None:
    """Every cell of it."""
    width, height, plain, filled, arrange = PICTURES[name]
    async with dashboard(width, height, plain=plain, filled=filled) as shown:
        await arrange(shown)
        path = SCREENS / f"{name}.txt"
        if os.environ.get("MESHCTL_UPDATE_SCREENS"):
            await asyncio.sleep(0.5)  # a picture is taken of a screen that rests
            path.write_text(still(shown.text), encoding="utf-8")
        wanted = path.read_text(encoding="utf-8")
        try:
            await shown.until(lambda: still(shown.text) == wanted)
        except AssertionError:
            assert still(shown.text) == wanted  # for the difference
            raise


def still(text: str) -> str:
    """Without the seconds to a retry, which are real ones."""
    return re.sub(r"again in \d+s", "again in Ns", text)


def test_every_picture_has_a_test() -> None:
    """And none hangs there for nothing."""
    assert {path.stem for path in SCREENS.glob("*.txt")} == set(PICTURES)
