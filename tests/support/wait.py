"""Waiting for a condition instead of for time to pass."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE = 0.01


def until(condition: Callable[[], T], deadline: float = 60.0) -> T:
    """The first true answer of `condition`, asked again and again for `deadline` seconds.

    Raises:
        AssertionError: none came; the message has the last answer.
    """
    end = time.monotonic() + deadline
    while not (answer := condition()):
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline:g} s; the last answer was {answer!r}")
        time.sleep(PAUSE)
    return answer
