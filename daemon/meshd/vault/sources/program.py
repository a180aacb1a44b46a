"""Asking a program for the master key: no shell, a deadline, nothing of its stderr."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from meshd.vault.errors import MasterKeyError

MOST = 4096
"""Bytes that an answer may have; a key has 66."""


async def ask(argv: Sequence[str], name: str, *, within: float, given: bytes = b"") -> bytes:
    """What the program writes to stdout, when it ends with 0 within so many seconds.

    It has a process group of its own, which is killed at the end, whatever it left behind.
    Its stderr is dropped: a program that fails may complain about what it was given.

    Raises:
        MasterKeyError: it cannot be run, failed, was late or wrote too much; `name` tells of it.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "not a command"
        raise MasterKeyError(f"{name} cannot be run ({why}): check its path.") from None
    try:
        async with asyncio.timeout(within):
            answer = await _talk(process, given)
            code = await process.wait()
    except TimeoutError:
        raise MasterKeyError(f"{name} did not answer within {within:g} s.") from None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if code != 0:
        how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        raise MasterKeyError(f"{name} ended {how}: run it by hand to see why.")
    if len(answer) > MOST:
        raise MasterKeyError(f"{name} wrote more than {MOST} bytes: only the key may be on stdout.")
    return answer


async def _talk(process: asyncio.subprocess.Process, given: bytes) -> bytes:
    """Hand over `given` and read to the end; one byte too much ends it early."""
    assert process.stdin is not None  # noqa: S101 - both were asked for as pipes
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(ConnectionError):
        process.stdin.write(given)
        await process.stdin.drain()
    process.stdin.close()
    answer = b""
    while len(answer) <= MOST and (piece := await process.stdout.read(MOST)):
        answer += piece
    if len(answer) > MOST:
        process.kill()
    return answer
