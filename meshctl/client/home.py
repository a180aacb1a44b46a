"""Where the daemon's files are.

Paths are computed as strings and become `Path` on demand: importing pathlib costs a third of what
a fast command may take, platformdirs more than half.
"""
# Hence no pathlib below.
# ruff: noqa: PTH100, PTH102, PTH103, PTH105, PTH108, PTH110, PTH111, PTH117, PTH118, PTH120, PTH123

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SOCKET_BYTES = 100
"""The longest path of a Unix socket; macOS ends at 104 bytes, Linux at 108."""


_ORG_BYTES = 200


class Home:
    """The folder `MESHCTL_HOME` and what lies in it, whether or not it exists yet."""

    __slots__ = ("text",)

    def __init__(self, text: str | os.PathLike[str]) -> None:
        self.text = os.path.abspath(text)

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Home:
        """`MESHCTL_HOME`, or the platform's folder for state."""
        given = environ.get("MESHCTL_HOME")
        if given:
            return cls(os.path.expanduser(given))
        if sys.platform == "darwin":
            return cls(os.path.expanduser("~/Library/Application Support/meshctl"))
        # The XDG Base Directory Specification ignores relative paths.
        state = environ.get("XDG_STATE_HOME", "")
        if not os.path.isabs(state):
            state = os.path.expanduser("~/.local/state")
        return cls(os.path.join(state, "meshctl"))

    def at(self, *names: str) -> str:
        """The path of something in this folder, as a string."""
        return os.path.join(self.text, *names)

    @property
    def root(self) -> Path:
        """The folder itself."""
        return _path(self.text)

    @property
    def socket(self) -> Path:
        """Where the daemon listens for control calls."""
        return _path(self.at("meshd.sock"))

    @property
    def lock(self) -> Path:
        """The file whose flock the running daemon holds."""
        return _path(self.at("meshd.lock"))

    @property
    def log(self) -> Path:
        """What the daemon says about itself."""
        return _path(self.at("logs", "meshd.log"))

    @property
    def clients(self) -> Path:
        """What was written into the settings of other programs, so that it can be undone."""
        return _path(self.at("clients"))

    @property
    def keys(self) -> Path:
        """The vault's keys."""
        return _path(self.at("keys"))

    def org(self, said: str | None) -> str | None:
        """The org to ask in: the one that was said, else the one chosen, else the daemon's only."""
        if said:
            return said
        try:
            with open(self.at("org"), encoding="utf-8") as file:
                return file.read(_ORG_BYTES).strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def choose(self, org: str | None) -> None:
        """Remember the org to ask in; None forgets it. Another command never sees half a name."""
        if org is None:
            if os.path.exists(self.at("org")):
                os.unlink(self.at("org"))
            return
        new = self.at(f"org.{os.getpid()}")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(org + "\n")
        os.replace(new, self.at("org"))

    def prepare(self) -> None:
        """Make the folder and its `logs`, for this user alone.

        Raises:
            Usage: the socket's path would be too long.
        """
        check_length(self.at("meshd.sock"))
        for folder in (self.text, self.at("logs")):
            os.makedirs(os.path.dirname(folder), exist_ok=True)
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                continue


def check_length(path: str) -> None:
    """Refuse a socket path that no system would take.

    Raises:
        Usage: it is longer than `SOCKET_BYTES`.
    """
    length = len(os.fsencode(path))
    if length > SOCKET_BYTES:
        from meshd.wire.errors import Usage

        raise Usage(
            f"the path of the daemon's socket has {length} bytes, more than {SOCKET_BYTES}",
            facts={"socket": path},
            next="export MESHCTL_HOME=/tmp/meshctl  # or any other short path",
        )


def _path(text: str) -> Path:
    from pathlib import Path

    return Path(text)
