"""The daemon's entry: arguments, lock, log, signals, run. A child of `--dev` comes here too."""

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from meshd.app import Serving, serving
from meshd.core.clock import SystemClock
from meshd.core.config import SECRETS, Config, read_config
from meshd.core.http_limits import LIMITS
from meshd.core.http_server import check_parser
from meshd.core.log import close_log, open_log
from meshd.core.process import close_to_others, notify, raise_file_limit
from meshd.core.tasks import TaskGroup
from meshd.core.watchdog import Watchdog
from meshd.services.failures import failure
from meshd.store.db import StoreDamaged, StoreError
from meshd.wire.errors import Conflict, Internal, MeshError, Usage
from meshd.wire.version import VERSION

log = logging.getLogger(__name__)

COMMANDS = ("serve", "doctor", "config", "db")

HURRY = 1.5
"""Seconds from the second signal to the end, whatever hangs then."""
CLOSING = 10.0
"""Seconds in which everything is closed, once the calls under way had their time."""
LAST_WORDS = 0.5
"""Seconds for the log to write down what was cut off."""


def run() -> None:
    """`meshd`: serve until told to stop. The other commands answer and end, daemon or not."""
    asked = _asked()
    if asked.dev:
        from meshd.dev import supervise

        raise SystemExit(supervise(sys.argv[1:], asked.ready_fd))
    try:
        environ = dict(os.environ)
        for name in SECRETS:  # no child is to inherit them
            os.environ.pop(name, None)
        read = partial(read_config, environ, port=asked.port, env_files=asked.env_file)
        config = read()
        if asked.command == "serve":
            check_parser()
            _harden(config)
            with _only_one(config):
                _serve(config, read, asked.ready_fd)
        else:
            answer = _answer(config, asked)
            print(json.dumps(answer, indent=None if asked.json else 2))  # noqa: T201 - the answer
    except (MeshError, StoreDamaged) as cause:
        error = failure(cause, "the start")
        _tell(asked.ready_fd, error.body())
        sys.stderr.write(json.dumps(error.body()) + "\n" if asked.json else _text(error))
        raise SystemExit(error.exit_code) from None
    except Exception as error:
        _tell(asked.ready_fd, Internal(f"meshd failed: {type(error).__name__}: {error}").body())
        raise


def _asked() -> argparse.Namespace:
    """The command line. Only `db` has further words."""
    parser = _arguments()
    asked = parser.parse_args()
    if asked.words and asked.command != "db":
        parser.error(f"unrecognized arguments: {' '.join(asked.words)}")
    return asked


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="meshd", description="The daemon of meshctl.")
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="serve")
    parser.add_argument(
        "words", nargs="*", metavar="WORD",
        help="db: status, migrate, backup FILE, restore FILE, or move with --to",
    )  # fmt: skip
    parser.add_argument("--to", metavar="URL", help="db move: the other database; - reads stdin")
    parser.add_argument("--yes", action="store_true", help="db: replace what is there")
    parser.add_argument("--port", type=int, help="TCP port; 0 picks a free one")
    parser.add_argument(
        "--env-file", type=Path, action="append", default=[], metavar="FILE",
        help="settings as KEY=VALUE lines, below the environment; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--dev", action="store_true", help="start afresh whenever a file of the program changes"
    )
    parser.add_argument("--ready-fd", type=int, help="write one JSON line here once it serves")
    parser.add_argument("--json", action="store_true", help="other than serve: answer in JSON")
    parser.add_argument("--version", action="version", version=VERSION)
    return parser


def _answer(config: Config, asked: argparse.Namespace) -> Any:
    if asked.command == "db":
        return to_builtins(_of_database(config, asked))
    return _examine(config) if asked.command == "doctor" else to_builtins(config.shown())


def _of_database(config: Config, asked: argparse.Namespace) -> Any:
    """What a command about the database answers; but for `status` no daemon may run meanwhile."""
    from meshd.services.offline import COMMANDS as KNOWN
    from meshd.services.offline import Asked

    word, *rest = asked.words or [""]
    to = sys.stdin.readline().strip() if asked.to == "-" else asked.to or ""
    said = Asked(file=" ".join(rest), to=to, agreed=asked.yes)
    known = KNOWN.get(word)
    if known is None or len(rest) != (known.takes == "file") or (known.takes == "to") != bool(to):
        raise Usage("meshd db status|migrate|backup FILE|restore FILE|move --to URL")
    with ExitStack() as stack:
        if known.alone:
            _harden(config)
            stack.enter_context(_only_one(config, "meshctl daemon stop"))
        return asyncio.run(known.work(config, said, SystemClock()))


def _examine(config: Config) -> list[dict[str, str | None]]:
    from meshd.services.doctor import examine

    return examine(config)


def _text(error: MeshError) -> str:
    facts = "".join(f"  {name}: {fact}\n" for name, fact in error.facts.items())
    following = f"next: {error.next}\n" if error.next else ""
    return f"error: {error.message}\n{facts}{following}"


def _harden(config: Config) -> None:
    """Files for the owner only, memory for nobody."""
    os.umask(0o077)
    close_to_others()
    raise_file_limit()
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.home.chmod(0o700)


class _only_one:  # noqa: N801 - reads as what it does
    """Holds the home's lock; the kernel releases it when the process ends, however it ends."""

    def __init__(self, config: Config, otherwise: str = "meshctl status") -> None:
        """`otherwise` is the command that helps when another process holds it."""
        self._path = config.lock
        self._otherwise = otherwise
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(self._path)
            os.close(self._fd)
            raise Conflict(
                "another meshd runs in this home", facts={"pid": holder}, next=self._otherwise
            ) from None
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_text().strip() or "unknown"
    return "unknown"


def _serve(config: Config, read: Callable[[], Config], ready_fd: int | None) -> None:
    listener = open_log(config.log, config.log_level)
    try:
        if config.ignored:
            log.warning("no setting, though in an env-file: %s", " ".join(config.ignored))
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_until_stopped(config, read, ready_fd))
    finally:
        close_log(listener)


def _loop_factory() -> Any:
    """Uvloop's where the extra `fast` is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _until_stopped(config: Config, read: Callable[[], Config], ready_fd: int | None) -> None:
    stopping, hurry, reloading = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop, clock = asyncio.get_running_loop(), SystemClock()
    manager = os.environ.get("NOTIFY_SOCKET", "")
    on_terminal = sys.stdin is not None and sys.stdin.isatty()

    def end() -> None:
        if stopping.is_set() and not hurry.is_set():
            hurry.set()
            loop.call_later(HURRY, os._exit, 0)
        stopping.set()

    def hang_up() -> None:
        (stopping if on_terminal and _hung_up() else reloading).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    async with (
        Watchdog(clock, manager),
        serving(config, clock, stopping, hurry) as served,
        TaskGroup("meshd") as tasks,
    ):
        tasks.start("settings", _keep_reloading(served, read, reloading))
        ready = {"pid": os.getpid(), "socket": served.socket, "url": served.url}
        _tell(ready_fd, {**ready, "version": VERSION, "state": served.state})
        notify(manager, "READY=1")
        await stopping.wait()
        notify(manager, "STOPPING=1")
        loop.call_later(LIMITS.drain + CLOSING, _cut_off, loop)


def _cut_off(loop: asyncio.AbstractEventLoop) -> None:
    """End what would not end: an upstream or a disk that hangs holds up no stop for ever.

    What was acknowledged is on disk; the watchdog of the children ends those that still run.
    """
    names = sorted(task.get_name() for task in asyncio.all_tasks(loop))
    log.error("the end is cut off; under way were: %s", ", ".join(names))
    loop.call_later(LAST_WORDS, os._exit, 1)


def _hung_up() -> bool:
    """Whether the terminal this was started in is gone, which SIGHUP means too."""
    try:
        os.tcgetpgrp(sys.stdin.fileno())
    except OSError:
        return True
    return False


async def _keep_reloading(
    served: Serving, read: Callable[[], Config], reloading: asyncio.Event
) -> None:
    """Take over changed settings at each SIGHUP. What is not valid changes nothing."""
    while True:
        await reloading.wait()
        reloading.clear()
        try:
            await served.reload(await asyncio.to_thread(read))
        except StoreError as error:
            log.warning("the settings were taken over, and no event tells of it: %s", error)
        except MeshError as error:
            facts = " ".join(f"{name}={fact}" for name, fact in error.facts.items())
            log.error("the settings stay as they were: %s %s", error.message, facts)  # noqa: TRY400 - no traceback for what an operator wrote


def _tell(ready_fd: int | None, body: Mapping[str, Any]) -> None:
    if ready_fd is not None:
        with suppress(OSError):
            os.write(ready_fd, json.dumps(body).encode() + b"\n")
            os.close(ready_fd)
