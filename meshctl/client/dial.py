"""Connecting to the daemon's socket, also while the daemon starts."""

from __future__ import annotations

import os
import time

# The C type itself: the module `socket` adds selectors and enum, a sixth of a bare start.
from _socket import AF_UNIX, SOCK_STREAM, socket

from meshctl.client.home import check_length

TYPE_CHECKING = False
if TYPE_CHECKING:
    from meshd.wire.errors import DaemonDown

STARTING_SECONDS = 5.0
"""How long a daemon that holds its lock may take until its socket answers."""

_PAUSE = 0.02


def connect(path: str, timeout: float | None) -> socket:
    """A connected socket, whose reads and writes wait at most `timeout` seconds.

    While a daemon holds the lock but does not listen yet, this waits for it.

    Raises:
        DaemonDown: nothing listens there.
        Denied: the socket belongs to somebody else.
    """
    check_length(path)
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        peer = socket(AF_UNIX, SOCK_STREAM)
        try:
            peer.settimeout(timeout)
            peer.connect(path)
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError) as error:
            peer.close()
            if time.monotonic() > deadline or not held(lock_of(path)):
                raise down(path, error) from None
            time.sleep(_PAUSE)
        except PermissionError as error:
            peer.close()
            raise _denied(path) from error
        except BaseException:
            peer.close()
            raise
        else:
            return peer


def answers(path: str) -> bool:
    """Whether something listens there, or will in a moment.

    Raises:
        Denied: as `connect`.
    """
    try:
        connect(path, 5.0).close()
    except _down_kind():
        return False
    return True


def lock_of(path: str) -> str:
    """The lock file that stands beside a socket."""
    return path.rpartition("/")[0] + "/meshd.lock"


def held(lock: str) -> bool:
    """Whether a process holds that lock file, which is what makes it the daemon.

    The look takes a shared lock for an instant; `start` tries again when a daemon ran into it.
    """
    import fcntl

    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def down(path: str, error: OSError | None = None) -> DaemonDown:
    """The error that says that no daemon answers at `path`."""
    from meshd.wire.errors import DaemonDown

    why = f" ({error.strerror.lower()})" if error is not None and error.strerror else ""
    return DaemonDown(facts={"socket": path + why}, next="meshctl daemon start")


def _down_kind() -> type[DaemonDown]:
    """Asked for only once something failed: the errors cost a fast command a tenth of its time."""
    from meshd.wire.errors import DaemonDown

    return DaemonDown


def _denied(path: str) -> Exception:
    from meshd.wire.errors import Denied

    return Denied(
        "the daemon's socket belongs to somebody else",
        facts={"socket": path},
        next="meshctl doctor",
    )
