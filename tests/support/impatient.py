"""A daemon that cuts a reader of a stream after `PATIENCE` seconds, so that nobody waits for it.

Put before the daemon's command: `Daemon.start(prefix=IMPATIENT)`.
"""

import sys
from dataclasses import replace

IMPATIENT = (sys.executable, "-P", __file__)
PATIENCE = 1.5


def main() -> None:
    from meshd.core import http_server
    from meshd.main import run

    http_server.LIMITS = replace(http_server.LIMITS, stall=PATIENCE)
    sys.argv = ["meshd", *sys.argv[sys.argv.index("meshd") + 1 :]]
    run()


if __name__ == "__main__":
    main()
