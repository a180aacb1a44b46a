"""A daemon that says something on a silent stream after a moment instead of 15 seconds.

Put before the daemon's command: `Daemon.start(prefix=BRISK)`.
"""

import sys

BRISK = (sys.executable, "-P", __file__)
PAUSE = 0.1
"""Seconds between two comments."""


def main() -> None:
    from meshd.gateway import hearing

    hearing.KEEP_ALIVE = PAUSE  # before anybody takes it from there
    from meshd.main import run

    sys.argv = ["meshd", *sys.argv[sys.argv.index("meshd") + 1 :]]
    run()


if __name__ == "__main__":
    main()
