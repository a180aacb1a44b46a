"""Following a stream across a daemon that goes away and comes back, without losing an item."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Item = dict[str, Any]
    Open = Callable[[dict[str, Any]], Iterator[Item | None]]

PATIENCE_SECONDS = 60.0
"""How long a tail waits for the daemon to come back."""

PAUSE_SECONDS = 0.2
"""Between two attempts."""


def follow(
    start: Open,
    query: dict[str, Any],
    cursor: str,
    note: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Item]:
    """The items of a stream; when it is cut, of another one that continues after the last item.

    `start` opens the stream of a query and gives None as soon as it stands. `cursor` names the
    field of an item that the query's `after` takes. `note` gets the sentence about a reconnect.

    Raises:
        DaemonDown: no daemon at the start, or it stayed away too long.
        MeshError: the daemon ended the stream on purpose.
    """
    query = dict(query)
    follows = query.get("follow", True)
    fresh = query.get("after") is None and not query.get("since")
    begun = _now()
    stood = False
    lost: float | None = None
    while True:
        cut: Exception | None = None
        try:
            for item in start(query):
                stood = True
                if lost is not None:
                    note(f"reconnected after {max(1, round(clock() - lost))}s, nothing missed")
                    lost = None
                if item is None:
                    continue
                _advance(query, item[cursor])
                yield item
                if query.get("limit") == 0:
                    return
        except _passing() as error:
            if not (stood and follows):
                raise
            cut = error
        if not follows:
            return
        if fresh and query.get("after") is None:
            query["since"] = begun  # nothing came yet that could be continued from
        lost = clock() if lost is None else lost
        if clock() - lost > PATIENCE_SECONDS:
            raise cut or _gone()
        sleep(PAUSE_SECONDS)


def _advance(query: dict[str, Any], after: Any) -> None:
    query["after"] = after
    query.pop("since", None)
    if query.get("limit") is not None:
        query["limit"] -= 1


def _passing() -> tuple[type[Exception], ...]:
    """The errors of a daemon that restarts. Imported only once something failed."""
    from meshd.wire.errors import DaemonDown, Unavailable

    return DaemonDown, Unavailable


def _gone() -> Exception:
    from meshd.wire.errors import DaemonDown

    return DaemonDown("meshd ended the stream and did not come back", next="meshctl daemon start")


def _now() -> str:
    seconds = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
