"""What becomes of the slots of a schedule that are due, some of them perhaps long ago. Pure."""

from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Literal

from meshd.bus.cron import Cron
from meshd.core.clock import MICROSECONDS

Misfire = Literal["skip", "once", "all"]
"""What is done about slots that nobody was there for: nothing, one fire for all, each of them."""
GRACE = 60 * MICROSECONDS
"""A slot that is later than this was missed."""
MAX_MISSED = 1000
"""Missed slots that are counted, and with `all` fired; those after them are passed over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Fire these `slots`, and go on at `next`.

    `missed` counts those that are passed over; `more` says that there were still others.
    """

    slots: tuple[int, ...]
    next: int
    missed: int = 0
    more: bool = False


def plan(cron: Cron, slot: int, now: int, misfire: Misfire, *, queued: bool) -> Plan:
    """What to do at `now` about a schedule whose next slot is `slot`, which is due.

    A slot that was `queued` waited for the fire before it, and stands for those that came since.

    Raises:
        BadCron: it never comes again.
    """
    if queued:
        passed, more = _until(cron, slot, now + 1)
        return Plan((slot,), cron.next(now), passed - 1, more)
    cutoff = now - GRACE
    if slot >= cutoff:
        return Plan((slot,), cron.next(slot))
    passed, more = _until(cron, slot, cutoff)
    follows = cron.next(cutoff - 1)
    if misfire == "skip":
        return Plan((), follows, passed, more)
    if misfire == "once":
        return Plan((slot,), follows, passed - 1, more)
    late = (slot, *islice(cron.slots(slot), passed - 1))
    return Plan(late, follows, 0, more)


def _until(cron: Cron, slot: int, end: int) -> tuple[int, bool]:
    """How many slots there are from `slot` to before `end`, and whether there are still more."""
    passed = 1 + sum(
        1 for _ in islice(takewhile(lambda one: one < end, cron.slots(slot)), MAX_MISSED)
    )
    return min(passed, MAX_MISSED), passed > MAX_MISSED
