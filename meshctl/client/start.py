"""The daemon as a process: start it, find it running, stop it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Any

from meshctl.client.client import Client
from meshctl.client.dial import held
from meshctl.client.home import Home
from meshd.wire.calls.daemon import STOP
from meshd.wire.errors import Conflict, DaemonDown, MeshError, Unavailable, from_body

READY_SECONDS = 30.0
"""How long a daemon may take until it serves; migrations of a large database count."""

GONE_SECONDS = 45.0
"""How long a daemon may take to end: it gives the calls under way 30 s, and itself 10 s more."""

LAUNCHES = 5
"""How often a daemon is launched that lost the lock to nobody."""

_PAUSE = 0.02

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts in a URL whose port is the daemon's own."""


def meshd(*words: str) -> list[str]:
    """The argv that runs the daemon's program with this interpreter.

    `-P` keeps a folder named meshd in the working directory from being taken for it.
    """
    return [sys.executable, "-P", "-m", "meshd", *words]


def environment(home: Home) -> dict[str, str]:
    """The environment in which the daemon's program finds the same home."""
    return {**os.environ, "MESHCTL_HOME": home.text}


def running(home: Home) -> dict[str, Any] | None:
    """`{"pid", "socket", "url", "version", "state"}` of the daemon that serves, or None.

    A daemon that holds the lock but does not serve yet is waited for.
    """
    try:
        daemon = Client(home.at("meshd.sock"), timeout=10.0).get("/v1/daemon")
    except DaemonDown:
        return None
    return {name: daemon[name] for name in ("pid", "socket", "url", "version", "state")}


def ensure(home: Home) -> dict[str, Any]:
    """As `running`, after starting one where there is none."""
    return running(home) or start(home)


def start(home: Home, port: int | None = None, more: Sequence[str] = ()) -> dict[str, Any]:
    """Start a daemon that outlives this process, and wait until it serves.

    One that runs already is the answer too. Port 0 picks a free one; None leaves it to the
    daemon's settings. `more` are further arguments for its program.

    Raises:
        Conflict: one runs on another port than asked for, or the port is taken.
        MeshError: the daemon's own reason why it cannot serve.
        Unavailable: it ended, or did not serve in time.
    """
    left = LAUNCHES
    while (found := running(home)) is None:
        left -= 1
        try:
            return _launch(home, port, more)
        except Conflict as lost:
            # Without a pid it is not about the lock. With one, somebody was faster, or only looked
            # at the lock (`held`) in the instant in which the daemon took it.
            if "pid" not in lost.facts or not left:
                raise
    _same_port(found, port)
    return found


def foreground(home: Home, port: int | None = None, more: Sequence[str] = ()) -> None:
    """Become the daemon; returns never.

    Raises:
        Conflict: one runs already.
    """
    found = running(home)
    if found is not None:
        raise Conflict(
            "meshd is already running",
            facts={"pid": str(found["pid"])},
            next="meshctl daemon stop",
        )
    home.prepare()
    os.execve(  # noqa: S606 - an argv, and no shell is wanted
        sys.executable, meshd(*_port(port), *more), environment(home)
    )


def stop(home: Home) -> int | None:
    """Stop the daemon, wait until it let go of its lock, and give its pid; None when none ran.

    Raises:
        Unavailable: it did not end in time.
    """
    lock = home.at("meshd.lock")
    try:
        pid = int(Client(home.at("meshd.sock"), timeout=10.0).call(STOP)["pid"])
    except DaemonDown as error:
        if not held(lock):
            return None
        raise Unavailable(
            "a process holds meshd's lock but does not answer",
            facts={"lock": lock, **error.facts},
            next="meshctl daemon logs",
        ) from error
    if not _within(GONE_SECONDS, lambda: not held(lock)):
        raise Unavailable(
            f"meshd (pid {pid}) did not end within {GONE_SECONDS:g} s", next=f"kill {pid}"
        )
    return pid


def _launch(home: Home, port: int | None, more: Sequence[str]) -> dict[str, Any]:
    home.prepare()
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb", buffering=0) as ready:
        try:
            child = _spawn(home, [*_port(port), *more], theirs)
        finally:
            os.close(theirs)
        # Reaps the daemon should it end while this process lives (the dashboard, a bridge).
        threading.Thread(target=child.wait, name="reap meshd", daemon=True).start()
        answer = _read_ready(ready)
    if "error" in answer:
        raise from_body(answer, 500)
    return answer


def _spawn(home: Home, arguments: Sequence[str], ready: int) -> subprocess.Popen[bytes]:
    log = os.open(home.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [*meshd(*arguments), "--ready-fd", str(ready)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=(ready,),
            start_new_session=True,  # Ctrl-C in this terminal is not meant for it
            cwd=home.text,  # it must not keep the caller's folder from being unmounted
            env=environment(home),
        )
    finally:
        os.close(log)


def _read_ready(ready: IO[bytes]) -> dict[str, Any]:
    """The one line of `--ready-fd`."""
    deadline = time.monotonic() + READY_SECONDS
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([ready], [], [], left)[0]:
            raise Unavailable(
                f"meshd did not serve within {READY_SECONDS:g} s", next="meshctl daemon logs"
            )
        piece = ready.read(65536)
        if not piece:
            raise Unavailable("meshd ended before it served", next="meshctl daemon logs")
        line += piece
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise MeshError("meshd reported something else than its address")
    return answer


def _same_port(found: dict[str, Any], port: int | None) -> None:
    from urllib.parse import urlsplit

    place = urlsplit(found["url"])
    own = place.hostname in LOOPBACK  # else it is the proxy's in front
    if port and own and place.port != port:
        raise Conflict(
            "meshd is already running on another port",
            facts={"url": str(found["url"]), "pid": str(found["pid"])},
            next=f"meshctl daemon stop && meshctl daemon start --port {port}",
        )


def _port(port: int | None) -> tuple[str, ...]:
    return () if port is None else ("--port", str(port))


def _within(seconds: float, done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True
