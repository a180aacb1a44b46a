"""Children of a daemon that was killed: the next one finds and ends them, and nobody else."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meshd.proxy import orphans, process_table
from tests.meshd.proxy.stdio_servers import STUBBORN, Lifeline, lifelines

DAEMON = """
import asyncio, sys
from pathlib import Path
from meshd.proxy.child import Child, Command

async def main():
    folder, *argv = sys.argv[1:]
    child = Child(Command(tuple(argv)), folder=Path(folder),
                  on_stdout=lambda _: None, on_end=lambda: None)
    await child.spawn()
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def killed_daemon(folder: Path, leader: Lifeline, grandchild: Lifeline) -> int:
    """Run a daemon with a stubborn child, kill it with SIGKILL; the pid of the child."""
    script = folder / "stubborn.py"
    script.write_text(STUBBORN)
    argv = [sys.executable, "-I", "-S", str(script), str(leader.path)]
    daemon = subprocess.Popen(
        [sys.executable, "-c", DAEMON, str(folder / "children"), *argv],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        pid = await leader.holder()
        await grandchild.holder()
    finally:
        daemon.kill()
        await asyncio.to_thread(daemon.wait)
    return pid


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_killed_daemons_children_are_ended(tmp_path):
    """They ignore SIGTERM, so this needs SIGKILL; their records go."""
    folder = tmp_path / "children"
    with lifelines(tmp_path) as (leader, grandchild):
        pid = await killed_daemon(tmp_path, leader, grandchild)
        assert files(folder) == [f"{pid}.json"]
        assert orphans.reap(folder, term_wait=0.1) == [pid]
        await leader.gone()
        await grandchild.gone()
    assert files(folder) == []
    assert orphans.reap(folder) == []


def reap_forged(folder: Path, pid: int, **changes: object) -> list[int]:
    """What is reaped by a copy of the record of `pid`, with changes."""
    record = json.loads((folder / "children" / f"{pid}.json").read_bytes())
    (folder / "forged").mkdir()
    (folder / "forged" / f"{pid}.json").write_text(json.dumps(record | changes))
    return orphans.reap(folder / "forged", term_wait=0.1)


async def test_grandchildren_are_found_without_their_leader(tmp_path):
    """The group outlives the process it is named after."""
    with lifelines(tmp_path) as (leader, grandchild):
        pid = await killed_daemon(tmp_path, leader, grandchild)
        os.kill(pid, signal.SIGKILL)
        await leader.gone()
        async with asyncio.timeout(10):
            while process_table.find(pid):  # its files close before it is dead
                await asyncio.sleep(0)
        assert reap_forged(tmp_path, pid, started=1e15) == []  # a later child's, same pid
        assert orphans.reap(tmp_path / "children", term_wait=0.1) == [pid]
        await grandchild.gone()


@pytest.fixture
def bystander():
    """A process that leads its own session, as a child does."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_the_record(tmp_path, bystander):
    """Complete, private, and enough to find the process again."""
    folder = tmp_path / "run" / "children"
    path = orphans.remember(folder, bystander.pid, "sleep")
    assert path == folder / f"{bystander.pid}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert files(folder) == [path.name]
    record = json.loads(path.read_bytes())
    assert (record["pid"], record["pgid"], record["command"]) == (
        bystander.pid,
        bystander.pid,
        "sleep",
    )
    assert orphans.reap(folder) == [bystander.pid]
    assert bystander.wait(5) == -signal.SIGTERM


@pytest.mark.parametrize(
    "forged", [{"started": -1.0}, {"started": 1e15}, {"boot": "another"}, {"pid": 1, "pgid": 1}]
)
def test_a_pid_that_was_given_out_again_is_not_killed(tmp_path, bystander, forged):
    """Start time and boot tell the bystander from the child that had its pid before."""
    path = orphans.remember(tmp_path, bystander.pid, "sleep")
    path.write_text(json.dumps(json.loads(path.read_bytes()) | forged))
    assert orphans.reap(tmp_path) == []
    assert bystander.poll() is None
    assert files(tmp_path) == []


def test_own_group_is_never_killed(tmp_path):
    """Also when a record names it: this process leads a session, as a daemon does."""
    code = """if True:
        import os, sys
        from pathlib import Path
        from meshd.proxy import orphans
        orphans.remember(Path(sys.argv[1]), os.getpid(), "meshd")
        print(orphans.reap(Path(sys.argv[1])))
        """
    daemon = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
        capture_output=True,
        text=True,
    )
    assert (daemon.returncode, daemon.stdout) == (0, "[]\n")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff"])
def test_an_unreadable_record_is_dropped(tmp_path, content):
    """A crash of the machine may have left half a file."""
    (tmp_path / "7.json").write_bytes(content)
    (tmp_path / "8.draft").write_bytes(content)
    assert orphans.reap(tmp_path) == []
    assert files(tmp_path) == []


def test_no_folder_no_orphans(tmp_path):
    """The first start of all."""
    assert orphans.reap(tmp_path / "none") == []


def test_a_process_that_is_gone_is_not_recorded(tmp_path):
    """It may end before its record is written."""
    process = subprocess.Popen(["true"])
    process.wait()
    assert orphans.remember(tmp_path, process.pid, "true") is None


def test_ps_says_the_same_as_proc(bystander):
    """Where there is no /proc there is `ps`; where both are there, they agree on who runs."""
    (by_ps,) = process_table.from_ps("-p", str(bystander.pid))
    assert (by_ps.pid, by_ps.pgid, by_ps.sid) == (bystander.pid, bystander.pid, bystander.pid)
    assert by_ps.started > 1_700_000_000
    assert bystander.pid in {process.pid for process in process_table.from_ps("-ax")}
    found = process_table.find(bystander.pid)
    assert (found.pid, found.pgid, found.sid) == (by_ps.pid, by_ps.pgid, by_ps.sid)
    assert found in set(process_table.everyone())


async def test_a_zombie_is_no_process():
    """It cannot be killed, and waiting for its end would take for ever."""
    process = subprocess.Popen(["true"])
    async with asyncio.timeout(10):
        while process_table.find(process.pid):
            await asyncio.sleep(0)
    os.kill(process.pid, 0)  # not reaped yet: the pid is taken
    assert list(process_table.from_ps("-p", str(process.pid))) == []
    process.wait()
