"""The helper that outlives a killed daemon just long enough to end its children."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meshd.proxy import reaper
from meshd.proxy.child import Child
from meshd.proxy.watchdog import PROGRAM, Watchdog
from tests.meshd.proxy.stdio_servers import STUBBORN, Lifeline, lifelines, quiet_loop, server


@pytest.fixture
async def watchdog():
    watchdog = Watchdog()
    with quiet_loop():
        yield watchdog
        await watchdog.close()


@pytest.mark.parametrize(
    ("lines", "groups"),
    [
        ([], set()),
        ([b"+7\n", b"+8\n", b"-7\n"], {8}),
        ([b"+7\n", b"-7\n", b"+7\n"], {7}),
        ([b"-9\n"], set()),
        ([b"+7\n", b"+81"], {7}),
    ],
)
def test_what_is_left(lines, groups):
    """Begun and not gone; half a number is none."""
    assert reaper.left(lines) == groups


async def gone(pid: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(0.01)


async def test_the_end_of_the_daemon_ends_the_stubborn(tmp_path):
    """Neither SIGTERM to the daemon's group nor the terminal's signals end the helper before."""
    command = server(tmp_path, str(tmp_path / "line"), source=STUBBORN)
    with lifelines(tmp_path) as (leader, grandchild):
        process = subprocess.Popen(command.argv, start_new_session=True)
        helper = subprocess.Popen(
            [sys.executable, "-I", "-S", PROGRAM], stdin=subprocess.PIPE, env={}
        )
        try:
            assert await leader.holder() == process.pid
            await grandchild.holder()
            assert helper.stdin is not None
            helper.stdin.write(b"+%d\n" % process.pid)
            helper.stdin.flush()
            if sys.platform == "linux":
                await ignores_signals(helper.pid)
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    helper.send_signal(number)
            helper.stdin.close()
            await leader.gone()
            await grandchild.gone()
            assert await asyncio.to_thread(helper.wait, 10) == 0
            assert process.wait(10) == -signal.SIGKILL
        finally:
            helper.kill()
            process.kill()
            helper.wait()
            process.wait()


async def ignores_signals(pid: int) -> None:
    """Return when the helper has come to the line where it does."""
    async with asyncio.timeout(10):
        while True:
            status = Path(f"/proc/{pid}/status").read_text()
            ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
            if ignored >> (signal.SIGQUIT - 1) & 1:  # the last of them
                return
            await asyncio.sleep(0.01)


async def test_a_child_is_watched_from_its_start_to_its_end(tmp_path, watchdog):
    """So that the helper never kills a number that was given out again."""
    child = Child(
        server(tmp_path), folder=tmp_path / "children", watchdog=watchdog,
        on_stdout=lambda _: None, on_end=lambda: None,
    )  # fmt: skip
    await child.spawn()
    assert watchdog._groups == {child.pid}
    await child.stop()
    assert watchdog._groups == set()


async def test_it_ends_in_order_and_kills_nobody(tmp_path, watchdog):
    """What was forgotten is left alone when the helper ends."""
    with lifelines(tmp_path) as (leader, grandchild):
        process = await stubborn(tmp_path, leader, grandchild)
        await watchdog.ready()
        watchdog.watch(process.pid)
        watchdog.forget(process.pid)
        pid = watchdog.pid
        await watchdog.close()
        await gone(pid)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        await leader.gone()
        await grandchild.gone()


async def test_a_lost_helper_is_replaced_with_all_it_knew(tmp_path, watchdog):
    """By the next child that starts."""
    with lifelines(tmp_path) as (leader, grandchild):
        process = await stubborn(tmp_path, leader, grandchild)
        await watchdog.ready()
        watchdog.watch(process.pid)
        lost = watchdog.pid
        os.kill(lost, signal.SIGKILL)
        async with asyncio.timeout(10):
            while watchdog.pid is not None:
                await asyncio.sleep(0.01)
        watchdog.watch(process.pid)  # nobody hears it, and nothing fails
        await watchdog.ready()
        assert watchdog.pid not in {None, lost}
        await watchdog.close()
        await leader.gone()
        await grandchild.gone()
        assert process.wait(10) == -signal.SIGKILL


async def stubborn(folder, leader: Lifeline, grandchild: Lifeline) -> subprocess.Popen[bytes]:
    """A group that only SIGKILL ends."""
    command = server(folder, str(leader.path), source=STUBBORN)
    process = subprocess.Popen(command.argv, start_new_session=True)
    await leader.holder()
    await grandchild.holder()
    return process
