"""A `meshd` started as it stands, also where it is expected to refuse."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from tests.support.daemon import Daemon


@dataclass
class Refused:
    """How a start that was refused ended. `told` is the JSON on the ready descriptor."""

    code: int
    told: dict[str, Any]
    stderr: str


def begin(home: Daemon, *arguments: str) -> dict[str, Any]:
    """Start it with exactly these arguments; what it told. `home` runs it from then on."""
    home.process, told = _launch(home, arguments)
    assert "url" in told, told
    home.url, home.socket = told["url"], told["socket"]
    return told


def refuse(home: Daemon, *arguments: str) -> Refused:
    """Start it where it must refuse, and wait for its end."""
    process, told = _launch(home, arguments)
    try:
        _, stderr = process.communicate(timeout=10)
    finally:
        process.kill()
    return Refused(process.returncode, told, stderr.decode())


def _launch(
    home: Daemon, arguments: tuple[str, ...]
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    ready, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "meshd", "--ready-fd", str(writing), *arguments],
        env=home.environ, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(ready) as line:
        text = line.readline()
    return process, json.loads(text) if text else {}
