"""A daemon whose patience with upstreams is a moment, to see what it does when they are silent.

Put before the daemon's command: `Daemon.start(prefix=HURRIED)`.
"""

import sys

HURRIED = (sys.executable, "-P", __file__)
PATIENCE = 0.5
"""Seconds until a silent HTTP upstream is given up."""


def main() -> None:
    from meshd.main import run
    from meshd.proxy import outbound

    outbound.IDLE_TIMEOUT = PATIENCE
    sys.argv = ["meshd", *sys.argv[sys.argv.index("meshd") + 1 :]]
    run()


if __name__ == "__main__":
    main()
