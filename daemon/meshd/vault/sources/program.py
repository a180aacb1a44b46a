"""Asking a program for the master key: no shell, a deadline, nothing of its stderr."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from meshd.vault.errors import MasterKeyError

MOST = 4096
"""Bytes that an answer may have; a key has 66."""
PARTING = 5.0
"""Seconds for the end of a program that was killed."""


async def ask(argv: Sequence[str], name: str, *, within: float, given: bytes = b"") -> bytes:
    """What the program writes to stdout, when it ends with 0 within so many seconds.

    It has a process group of its own, which is killed at the end, whatever it left behind.
    Its stderr is dropped: a program that fails may complain about what it was given.

    Raises:
        MasterKeyError: it cannot be run, failed, was late or wrote too much; `name` tells of it.
    """
    stdin = _pipe(given)
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a command"
        raise MasterKeyError(f"{name} cannot be run ({why}): check its path.") from None
    finally:
        os.close(stdin)
    try:
        async with asyncio.timeout(within):
            answer = await _read(process)
            if len(answer) > MOST:
                raise MasterKeyError(
                    f"{name} wrote more than {MOST} bytes: only the key may be on stdout."
                )
            code = await process.wait()
    except TimeoutError:
        raise MasterKeyError(f"{name} did not answer within {within:g} s.") from None
    finally:
        await _end(process)
    if code != 0:
        how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        raise MasterKeyError(f"{name} ended {how}: run it by hand to see why.")
    return answer


def _pipe(given: bytes) -> int:
    """A pipe that holds `given` already, and its end: it is far shorter than a pipe's buffer."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        end.write(given)
    return reading


async def _read(process: asyncio.subprocess.Process) -> bytes:
    """What it writes, to the end, or until it is too much."""
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    answer = b""
    while len(answer) <= MOST and (piece := await process.stdout.read(MOST)):
        answer += piece
    return answer


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill its group. What it wrote is read to the end: asyncio sees no exit before that."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    with contextlib.suppress(TimeoutError):  # somebody else may hold the pipe open
        async with asyncio.timeout(PARTING):
            while await process.stdout.read(65536):
                pass
            await process.wait()
