"""One child process: its start, its pipes, its end. What goes through the pipes is not known here.

A child leads a session and a process group of its own, and takes the group with it when it ends.
"""

import asyncio
import contextlib
import os
import shlex
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from meshd.core.secret import Secret
from meshd.proxy import orphans
from meshd.proxy.environment import child_environment
from meshd.proxy.stderr_tail import StderrTail
from meshd.proxy.watchdog import Watchdog
from meshd.wire.errors import UpstreamFailed

EOF_WAIT = 2.0
"""Seconds a child has to end by itself once its stdin is closed."""
TERM_WAIT = 3.0
"""Seconds it has after that, once it got SIGTERM."""
DRAIN_WAIT = 0.5
"""Seconds in which its last output is read, once it has ended."""
MUTE_WAIT = 1.0
"""Seconds a child may run on after it closed its stdin or stdout."""
SHOWN_LINES = 20
"""Lines of stderr in an error."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a server: an argument list that no shell reads, and what its environment adds.

    Secrets belong in `env`; arguments are visible to every user of the machine.
    """

    argv: tuple[str, ...]
    env: Mapping[str, Secret] = field(default_factory=dict)
    cwd: str | None = None

    @property
    def name(self) -> str:
        """The program, without its folder."""
        return Path(self.argv[0]).name if self.argv else ""


class Child(asyncio.SubprocessProtocol):
    """A process that is started once, written to, and stopped.

    `on_stdout` gets each chunk it writes; `on_end` is called once, when nothing more will come.
    """

    def __init__(
        self,
        command: Command,
        *,
        folder: Path,
        on_stdout: Callable[[bytes], None],
        on_end: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        watchdog: Watchdog | None = None,
    ) -> None:
        """Prepare to run `command`; `folder` takes its record (see `orphans`).

        `watchdog` ends it when the daemon dies without doing so.
        """
        self.pid = 0
        """The process id, also that of its session and group; 0 before the start."""
        self.started_at = 0.0
        """When it started, by `clock`."""
        self.command = command
        self.stderr = StderrTail(secret.reveal() for secret in command.env.values())
        self._folder = folder
        self._clock = clock
        self._watchdog = watchdog
        self._on_stdout = on_stdout
        self._on_end: Callable[[], None] | None = on_end
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self._outbox: list[bytes] = []
        self._queued = 0
        self._record: Path | None = None
        self._exited = asyncio.Event()
        self._closed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def spawn(self) -> None:
        """Start the process.

        Raises:
            UpstreamFailed: it cannot be started, with the reason the system gives.
        """
        name, argv = self.command.name, self.command.argv
        if not argv:
            raise UpstreamFailed("the connection has no command")
        environment = child_environment(os.environ, self.command.env)
        if self._watchdog is not None:
            await self._watchdog.ready()
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                *argv,
                cwd=self.command.cwd,
                env=environment,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            missing = error.filename
            raise UpstreamFailed(
                f'cannot start "{name}": {missing} does not exist',
                next=f"command -v {shlex.quote(argv[0])}" if missing == argv[0] else None,
                facts={"path": environment.get("PATH", "")},
            ) from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UpstreamFailed(f'cannot start "{name}": {reason}') from None
        if self._exited.is_set():
            return
        try:
            self._record = orphans.remember(self._folder, self.pid, name)
        except OSError as error:
            self.kill()
            await self.stop()
            raise UpstreamFailed(f'cannot record "{name}": {error.strerror}') from error

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._transport.get_returncode() if self._transport else None

    @property
    def fate(self) -> str:
        """How it ended, to be read after its name."""
        match self.returncode:
            case None:
                return "closed its input or output"
            case code if code < 0:
                names = {number.value: number.name for number in signal.Signals}
                return f"was ended by {names.get(-code, f'signal {-code}')}"
            case code:
                return f"exited with code {code}"

    def facts(self) -> dict[str, str]:
        """What an error about this child should show: its exit, its last words."""
        facts = {} if self.returncode is None else {"exit": str(self.returncode)}
        last = self.stderr.lines(SHOWN_LINES)
        return facts | ({"stderr": "\n".join(last)} if last else {})

    @property
    def unread(self) -> int:
        """Bytes written to the child that wait here because it does not read them."""
        return self._queued + (self._stdin.get_write_buffer_size() if self._stdin else 0)

    def write(self, data: bytes) -> None:
        """Hand `data` to its stdin; dropped when that is closed. Bounding `unread` is up to you.

        What is written in one turn of the event loop leaves in one system call, which costs more
        than all the rest of a request.
        """
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(data)
        self._queued += len(data)

    def _flush(self) -> None:
        data = b"".join(self._outbox)
        self._outbox.clear()
        self._queued = 0
        if self._stdin is not None and not self._stdin.is_closing():
            self._stdin.write(data)

    def kill(self) -> None:
        """End it, and its group, now."""
        if self._transport is not None and not self._exited.is_set():
            _signal_group(self.pid, signal.SIGKILL)

    async def stop(self, *, eof_wait: float = EOF_WAIT, term_wait: float = TERM_WAIT) -> None:
        """End it and its group: close stdin, then SIGTERM, then SIGKILL. Returns when it is reaped.

        May be called again, and at any time; a cancelled caller does not stop the stopping.
        """
        if self._transport is not None:
            await asyncio.shield(self._begin_stop(eof_wait, term_wait))

    def _begin_stop(self, eof_wait: float, term_wait: float) -> asyncio.Task[None]:
        if self._stopping is None or self._stopping.cancelled():
            self._stopping = asyncio.create_task(
                self._stop(eof_wait, term_wait), name=f"child.stop {self.command.name} {self.pid}"
            )
        return self._stopping

    async def _stop(self, eof_wait: float, term_wait: float) -> None:
        try:
            if self._stdin is not None:
                self._stdin.close()
            if not await self._exits_within(eof_wait):
                _signal_group(self.pid, signal.SIGTERM)
                await self._exits_within(term_wait)
        finally:
            self.kill()
        await self._exited.wait()
        self._close_pipes()
        await self._closed.wait()

    async def _exits_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exited.wait(), seconds)
        return self._exited.is_set()

    def _close_pipes(self) -> None:
        if self._stdin is not None and self._stdin.get_write_buffer_size():
            self._stdin.abort()  # a close would wait until somebody reads the rest
        cast("asyncio.SubprocessTransport", self._transport).close()

    # What the event loop tells:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self.pid = self._transport.get_pid() or 0
        if self._watchdog is not None:
            self._watchdog.watch(self.pid)
        self.started_at = self._clock()
        self._stdin = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It wrote something."""
        if fd == 1:
            self._on_stdout(data)
        else:
            self.stderr.feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """It closed a pipe. Without stdin or stdout it is of no use, and soon has to end."""
        if fd == 0:
            self._stdin = None
        if fd in {0, 1} and self._timer is None and self._stopping is None:
            self._timer = asyncio.get_running_loop().call_later(MUTE_WAIT, self._give_up)

    def process_exited(self) -> None:
        """It was reaped: whatever it left in its group goes too.

        The pid is still good for that: it is not given out again while its group has members.
        """
        _signal_group(self.pid, signal.SIGKILL)
        if self._watchdog is not None:
            self._watchdog.forget(self.pid)
        if self._record is not None:
            with contextlib.suppress(OSError):
                self._record.unlink(missing_ok=True)
        self._exited.set()
        # A process that left the group may hold the pipes open for as long as it likes.
        self._rearm(DRAIN_WAIT, self._close_pipes)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """It was reaped, and all its output was read."""
        if self._timer is not None:
            self._timer.cancel()
        self._close_pipes()
        self._closed.set()
        self._end()

    def _rearm(self, seconds: float, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def _give_up(self) -> None:
        self._end()
        self._begin_stop(EOF_WAIT, TERM_WAIT)

    def _end(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()


def _signal_group(group: int, number: signal.Signals) -> None:
    # macOS answers "not permitted" for a group of zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
