"""What a home remembers of its own daemon. It stands in a file, for a database may be shared."""

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from meshd.wire.ids import new_id


@dataclass(frozen=True, slots=True)
class Remembered:
    """`daemon` names the daemon of this home in session tokens; `port` is what it last served on.

    Losing either costs little: clients begin new sessions, and the port is looked for again.
    """

    daemon: str
    port: int | None

    @classmethod
    def read(cls, path: Path) -> Self:
        """What the file says; a new name where it says none that can be read."""
        found: object = None
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads(path.read_bytes())
        told = found if isinstance(found, dict) else {}
        daemon, port = told.get("daemon"), told.get("port")
        if not isinstance(daemon, str) or not re.fullmatch(r"mesh_\w{1,40}", daemon):
            daemon = new_id("mesh")
        if type(port) is not int or not 0 < port < 65536:
            port = None
        return cls(daemon, port)

    def write(self, path: Path) -> None:
        """Put it into the file, whole or not at all."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        text = json.dumps({"daemon": self.daemon, "port": self.port})
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123 - the mode is given at the start
            file.write(text + "\n")
        draft.replace(path)
