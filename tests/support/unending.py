"""A daemon whose pool of connections never closes, and that cuts its own end off early.

Put before the daemon's command: `Daemon.start(prefix=UNENDING)`.
"""

import asyncio
import sys
from dataclasses import replace

UNENDING = (sys.executable, "-P", __file__)


async def never(*_: object) -> None:
    """Hang."""
    await asyncio.Event().wait()


def main() -> None:
    from meshd import main as daemon
    from meshd.proxy.http_pool import HttpPool

    daemon.LIMITS, daemon.CLOSING = replace(daemon.LIMITS, drain=0.5), 0.5
    HttpPool.close = never  # type: ignore[method-assign]
    sys.argv = ["meshd", *sys.argv[sys.argv.index("meshd") + 1 :]]
    daemon.run()


if __name__ == "__main__":
    main()
