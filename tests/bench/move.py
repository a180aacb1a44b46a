"""`python -m tests.bench.move`: move many call records to Postgres, and see both sides counted.

The server is the one of the tests, or what `--to` names. Prints rows, checksums and the time, and
beside it how long a backup of the same data takes. Times of a busy machine say little.
"""

import argparse
import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from msgspec import to_builtins

from meshctl.render.columns import plain
from meshctl.render.db import moved, proved
from meshd.core.clock import SystemClock
from meshd.services.backups import make
from meshd.services.moving import move
from meshd.wire.db import BackupAsked, DbMoved
from tests.support.filled import config, fill
from tests.support.postgres import running


def main() -> None:
    """Fill, back up, move, print."""
    parser = argparse.ArgumentParser("python -m tests.bench.move", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="call records to move")
    parser.add_argument("--with-nul", type=int, default=10, help="of them with text U+0000")
    parser.add_argument("--to", metavar="URL", help="an empty database")
    asked = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mesh-move-")))
        dsn = asked.to
        if dsn is None:
            dsn = stack.enter_context(stack.enter_context(running(uuid4().hex)).schema())
        done, seconds = asyncio.run(_measured(home, asked.records, asked.with_nul, dsn))
    print("\n".join(plain(moved(), to_builtins(done)["tables"])))
    print("\n".join(proved(to_builtins(done))))
    print(f"a backup of the same took {seconds:.1f} s")


async def _measured(home: Path, records: int, with_nul: int, dsn: str) -> tuple[DbMoved, float]:
    await fill(home, records, with_nul=with_nul)
    clock, one = SystemClock(), config(home)
    began = time.monotonic()
    await make(one, BackupAsked(file=str(home / "a.backup")), clock)
    seconds = time.monotonic() - began
    return await move(one, dsn, clock), seconds


if __name__ == "__main__":
    main()
