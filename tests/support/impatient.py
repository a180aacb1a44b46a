"""A daemon that cuts a reader of a stream after `PATIENCE` seconds, so that nobody waits for it.

Put before the daemon's command: `Daemon.start(prefix=IMPATIENT)`.
"""

import sys

IMPATIENT = (sys.executable, "-P", __file__)
PATIENCE = 1.5


def main() -> None:
    from meshd.api.stream import ndjson
    from meshd.main import run

    assert ndjson.__kwdefaults__ is not None
    ndjson.__kwdefaults__["deadline"] = PATIENCE
    sys.argv = ["meshd", *sys.argv[sys.argv.index("meshd") + 1 :]]
    run()


if __name__ == "__main__":
    main()
