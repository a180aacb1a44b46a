"""Running a command as a person does: on a terminal, both outputs on one screen."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping


def on_terminal(command: str, environ: Mapping[str, str], *, columns: int = 100) -> str:
    """What a bash command line prints on a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, columns, 0, 0))
    with subprocess.Popen(
        ["bash", "-c", command], env={**environ, "COLUMNS": str(columns)}, stdin=subprocess.DEVNULL, stdout=theirs,
        stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break  # Linux says EIO when the last writer is gone
            if not part:
                break
            parts.append(part)
        os.close(ours)
        process.wait(timeout=60)
    return b"".join(parts).decode().replace("\r\n", "\n")
