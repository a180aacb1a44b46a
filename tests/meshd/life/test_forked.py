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
from tests.support.wait import until

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="daemons are forked on Linux alone")
SAME = ("Umask", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Threads")


@pytest.fixture(params=[False, True], ids=["forked", "program"])
def made(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    made = Daemon.fresh().start(program=request.param)
    assert isinstance(made.process, Forked) != request.param
    yield made
    made.remove()


def test_the_system_shows_no_difference() -> None:
    """Signals, mask of modes, threads, limits, folder and the kinds of what is open."""
    forked, program = Daemon.fresh().start(), Daemon.fresh().start(program=True)
    until(lambda: told(forked) == told(program))
    for one in (forked, program):
        one.remove()


def told(daemon: Daemon) -> tuple[dict[str, str], str, Counter[str], bool]:
    """What the system says of it."""
    place = Path(f"/proc/{daemon.pid}")
    lines = (line.split(":", 1) for line in (place / "status").read_text().splitlines())
    status = {name: value.strip() for name, value in lines if name in SAME}
    opened = [str(path.readlink()) for path in (place / "fd").iterdir()]
    kinds = Counter(
        "file" if name.startswith(str(daemon.home)) else name.partition(":")[0] for name in opened
    )
    at_home = (place / "cwd").readlink() == daemon.home
    return status, (place / "limits").read_text(), kinds, at_home


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
