"""A daemon that gives every request to a stdio server the same id, to see that it is noticed.

Put before the daemon's command: `Daemon.start(prefix=CARELESS)`.
"""

import sys
from typing import Any

CARELESS = (sys.executable, "-P", __file__)


def main() -> None:
    from meshd.main import run
    from meshd.proxy.stdio_talk import StdioTalk

    careful = StdioTalk.request

    async def request(self: StdioTalk, *arguments: Any, **named: Any) -> Any:
        self.asked = 0
        return await careful(self, *arguments, **named)

    StdioTalk.request = request  # type: ignore[method-assign]
    sys.argv = ["meshd", *sys.argv[sys.argv.index("meshd") + 1 :]]
    run()


if __name__ == "__main__":
    main()
