"""A daemon that waits a moment instead of 30 seconds for clients that went away.

Put before the daemon's command: `Daemon.start(prefix=FLEETING)`.
"""

import sys

FLEETING = (sys.executable, "-P", __file__)
GRACE = 2.0
"""Seconds in which a client may come back."""


def main() -> None:
    from meshd.gateway import absences
    from meshd.main import run

    absences.GRACE = GRACE
    sys.argv = ["meshd", *sys.argv[sys.argv.index("meshd") + 1 :]]
    run()


if __name__ == "__main__":
    main()
