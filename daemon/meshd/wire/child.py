"""Processes of stdio servers, as the daemon runs them."""

from typing import Literal

from msgspec import Struct


class ChildProcess(Struct, kw_only=True):
    """A stdio server: its process, or why there is none.

    `resting` gets a process with the next call; `failing` waits a little before it is tried again.
    """

    connection: str
    state: Literal["running", "starting", "resting", "failing"]
    pid: int | None = None
    pids: list[int] = []
    """Its process group, itself included."""
    age_s: float | None = None
    rss_bytes: int | None = None
    """Resident memory of the group; pages shared within it count more than once."""
    in_flight: int = 0
    restarts: int = 0
    last_exit: str | None = None
