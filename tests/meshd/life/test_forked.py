"""A forked daemon is to a test what a program is; else the other tests would show something else."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.forking import POSSIBLE, Forked

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="daemons are forked on Linux alone")
SAME = ("Umask", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Threads")


@pytest.fixture(params=[False, True], ids=["forked", "program"])
def made(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    made = Daemon.fresh().start(program=request.param)
    assert isinstance(made.process, Forked) != request.param
    yield made
    made.remove()


def test_the_system_shows_no_difference() -> None:
    """Signals, mask of modes, limits, folder, kinds of descriptors; and what it imported counts too."""
    seen = []
    for program in (False, True):
        daemon = Daemon.fresh().start(program=program)
        place = Path(f"/proc/{daemon.pid}")
        lines = (line.split(":", 1) for line in (place / "status").read_text().splitlines())
        said = {name: value.strip() for name, value in lines if name in SAME}
        files = Counter(
            "file" if target.startswith("/tmp/mesh-") else target.partition(":")[0]
            for target in map(os.readlink, (place / "fd").iterdir())
        )
        at_home = (place / "cwd").readlink() == daemon.home
        seen.append((said, (place / "limits").read_text(), files, at_home))
        daemon.remove()
    assert seen[0] == seen[1]


def test_how_it_ends_is_told(made: Daemon) -> None:
    assert made.stop() == 0
    made.start()
    assert made.kill() == -signal.SIGKILL


def test_a_start_that_is_refused_says_why(made: Daemon) -> None:
    """On the descriptor of who waits and on stderr."""
    with pytest.raises(RuntimeError, match=r"(?s)another meshd runs.*error: another meshd runs"):
        Daemon(made.home).start(program=not isinstance(made.process, Forked))


def test_what_is_read_before_the_first_line_wants_a_program() -> None:
    daemon = Daemon.fresh(PYTHONPATH=os.pathsep.join(sys.path)).start()
    assert not isinstance(daemon.process, Forked)
    daemon.remove()
