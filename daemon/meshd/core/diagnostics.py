"""What the process is doing: tasks, threads, memory. Places in the code alone, never a value."""

import asyncio
import gc
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterable
from types import FrameType
from typing import Any

DEEPEST = 20
"""Frames of a stack that are shown, innermost last."""
KINDS = 30
"""Types of objects that are counted, the most frequent ones."""


def tasks() -> list[dict[str, Any]]:
    """Every task of the running loop: its name and where it waits."""
    found = [{"name": t.get_name(), "at": _places(t.get_stack())} for t in asyncio.all_tasks()]
    return sorted(found, key=lambda task: task["name"])


def threads() -> list[dict[str, Any]]:
    """Every thread: its name and its stack."""
    frames = sys._current_frames()  # noqa: SLF001 - the way to another thread's stack
    return [
        {"name": t.name, "daemon": t.daemon, "at": _stack(frames.get(t.ident or 0))}
        for t in threading.enumerate()
    ]


def memory() -> dict[str, Any]:
    """Objects that the collector tracks, by type and generation. Takes tenths of a second."""
    tracked = gc.get_objects()
    kinds = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in tracked)
    return {
        "objects": len(tracked),
        "types": dict(kinds.most_common(KINDS)),
        "generations": gc.get_stats(),
        "uncollectable": len(gc.garbage),
    }


def collect() -> dict[str, int]:
    """Collect garbage now; how many objects were unreachable."""
    return {"collected": gc.collect()}


def _stack(frame: FrameType | None) -> list[str]:
    if frame is None:  # it ended meanwhile
        return []
    found = traceback.extract_stack(frame)[-DEEPEST:]
    return [f"{at.filename}:{at.lineno} in {at.name}" for at in found]


def _places(frames: Iterable[FrameType]) -> list[str]:
    found = [f"{f.f_code.co_filename}:{f.f_lineno} in {f.f_code.co_name}" for f in frames]
    return found[-DEEPEST:]
