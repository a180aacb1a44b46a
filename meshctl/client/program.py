"""Asking the daemon's program as a child process, for what works without a running daemon."""

import json
import subprocess
from typing import Any

from meshctl.client.home import Home
from meshctl.client.start import environment, meshd
from meshd.wire.errors import MeshError, Unavailable, from_body

PATIENCE = 30.0


def ask(home: Home, *words: str, stdin: str = "", patience: float = PATIENCE) -> Any:
    """What `meshd WORDS --json` answers within `patience` seconds.

    Raises:
        MeshError: its own error, or it answered nothing that can be read.
        Unavailable: it did not answer in time.
    """
    try:
        asked = subprocess.run(
            meshd(*words, "--json"),
            input=stdin.encode(),
            capture_output=True, check=False, timeout=patience, env=environment(home),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unavailable(f"meshd {words[0]} did not answer within {patience:g} s") from None
    said = asked.stderr.decode("utf-8", "replace").strip().splitlines() or [""]
    try:
        if asked.returncode:
            raise from_body(json.loads(said[-1]), 500)
        return json.loads(asked.stdout)
    except ValueError:
        why = {"it said": said[-1] or f"exit code {asked.returncode}"}
        raise MeshError(f"meshd {words[0]} failed", facts=why) from None
