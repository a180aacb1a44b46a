"""A daemon with one thing about its database changed, to see that a test can tell.

Put before the daemon's command: `Daemon.start(prefix=impatient(0.5))`. Run as a program with the
change and its value first.
"""

import sys
from functools import partial


def impatient(seconds: float) -> tuple[str, ...]:
    """It waits so long for a lock that another process holds."""
    return (sys.executable, "-P", __file__, "impatient", str(seconds))


def unsynced() -> tuple[str, ...]:
    """It acknowledges what SQLite has only handed to the system."""
    return (sys.executable, "-P", __file__, "unsynced", "")


def main() -> None:
    from meshd.main import run
    from meshd.store import sqlite

    change, value = sys.argv[1:3]
    if change == "impatient":
        sqlite.connect_writer = partial(sqlite.connect_writer, busy_ms=int(float(value) * 1000))
    elif change == "unsynced":
        sqlite._DURABLE_PRAGMAS = ("synchronous=NORMAL",)
    else:
        raise SystemExit(f"no such change: {change}")
    sys.argv = ["meshd", *sys.argv[sys.argv.index("meshd") + 1 :]]
    run()


if __name__ == "__main__":
    main()
