"""Daemons that are forked from a process which has imported one: to import it is most of a start.

What runs is `meshd` from its arguments on, in a process of its own with the environment, folder and
descriptors of a program that was started. What the system shows of it (arguments, first
environment) is of the process that it was forked from: a test that looks there starts a program.
Linux alone; under `tests.coverage`, which counts from a program's start, there is none of it.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

POSSIBLE = sys.platform == "linux" and "COVERAGE_PROCESS_START" not in os.environ
LARGEST = 200_000
"""Bytes of a request; a variable of the environment alone may have 128 KiB."""
EARLY = ("PYTHON", "LD_", "AIOHTTP_", "TZ")
"""What these variables say is read before the first line of the daemon."""


class Forked:
    """A forked daemon, in the words of `subprocess.Popen`."""

    def __init__(self, arguments: list[str], ready: int, env: Mapping[str, str], cwd: str) -> None:
        """It starts; its line for who waits comes at `ready`."""
        self.returncode: int | None = None
        errors, theirs = os.pipe()
        self.stderr = os.fdopen(errors, "rb")
        self._life, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = json.dumps([arguments, dict(env), cwd]).encode()
        assert len(request) < LARGEST
        with other:
            socket.send_fds(_forker(), [request], [ready, theirs, other.fileno()])
        os.close(theirs)
        self.pid = int(self._life.recv(20))

    def poll(self) -> int | None:
        """Its exit code if it has ended; that of a signal is negative."""
        if self.returncode is None and select.select([self._life], [], [], 0)[0]:
            self.returncode = int(self._life.recv(20))
            self._life.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it did not end in `timeout` seconds.
        """
        if self.returncode is None and not select.select([self._life], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("meshd", timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def communicate(self, timeout: float) -> tuple[None, bytes]:
        """Wait for its end; what it wrote to stderr until then."""
        written, end = b"", time.monotonic() + timeout
        while select.select([self.stderr], [], [], max(0.0, end - time.monotonic()))[0]:
            if not (piece := os.read(self.stderr.fileno(), 65536)):
                break
            written += piece
        self.wait(max(0.0, end - time.monotonic()))
        self.stderr.close()
        return None, written

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def fits(env: Mapping[str, str]) -> bool:
    """Whether a daemon with these variables may be a forked one."""
    return POSSIBLE and not any(name.startswith(EARLY) for name in env)


@cache
def _forker() -> socket.socket:
    """The way to this process's one that forks; it ends with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in (ours, theirs):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def main() -> None:
    """Import what `meshd` imports, and become one in a child whenever it is asked for."""
    from meshd.start import import_server_of_aiohttp

    gc.disable()
    import_server_of_aiohttp()
    from meshd.main import run

    gc.freeze()
    if _is_asked(socket.socket(fileno=int(sys.argv[1]))):
        gc.enable()
        run()


def _is_asked(control: socket.socket) -> bool:
    """Fork and reap until nobody can ask any more; true in a child, which is to be a daemon."""
    ended, woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; we end by `control`
    signal.signal(signal.SIGCHLD, lambda *_: None)  # else nothing is written to `woken`
    before = signal.set_wakeup_fd(woken)
    lives: dict[int, int] = {}
    while True:
        readable, _, _ = select.select([control, ended], [], [])
        if ended in readable:
            os.read(ended, 100)
            _reap(lives)
        if control not in readable:
            continue
        request, given, _, _ = socket.recv_fds(control, LARGEST, 3)
        if not request:
            return False
        ready, errors, life = given
        if (pid := os.fork()) == 0:
            signal.set_wakeup_fd(before)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for one in (control.detach(), ended, woken, life, *lives.values()):
                os.close(one)
            _dress(json.loads(request), ready, errors)
            return True
        lives[pid] = life
        os.write(life, str(pid).encode())
        os.close(ready)
        os.close(errors)


def _reap(lives: dict[int, int]) -> None:
    """Tell of each child that ended, once."""
    while lives:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with suppress(BrokenPipeError):  # nobody wants to know
            os.write(lives[pid], str(os.waitstatus_to_exitcode(status)).encode())
        os.close(lives.pop(pid))


def _dress(request: Any, ready: int, errors: int) -> None:
    """Arguments, environment, folder and descriptors as a program gets them from who starts it."""
    arguments, env, folder = request
    os.dup2(errors, 2)
    os.close(errors)
    os.set_inheritable(ready, True)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.argv = ["meshd", "--ready-fd", str(ready), *arguments]


if __name__ == "__main__":
    main()
