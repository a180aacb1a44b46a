"""A daemon whose patience with clients is a moment, to see what it does when they are slow.

Put before the daemon's command: `Daemon.start(prefix=STRICT)`.
"""

import sys

from meshd.core.http_limits import Limits

STRICT = (sys.executable, "-P", __file__)
LIMITS = Limits(
    head=1.0, body=2.0, grace=0.5, idle=1.5, stall=1.0, drain=1.0, sweep=0.1, moment=0.3,
    connections=400,
)  # fmt: skip


def main() -> None:
    from meshd.core import http_server
    from meshd.main import run

    http_server.LIMITS = LIMITS
    sys.argv = ["meshd", *sys.argv[sys.argv.index("meshd") + 1 :]]
    run()


if __name__ == "__main__":
    main()
