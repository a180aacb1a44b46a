"""A Secret Service of a desktop: gnome-keyring on a bus of its own, with nobody to ask."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.wait import until

PASSWORD = b"of the login keyring"
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


ASKED = (
    "dbus-send", "--session", "--print-reply=literal", "--dest=org.freedesktop.secrets",
    "/org/freedesktop/secrets/collection/login", "org.freedesktop.DBus.Properties.Get",
    "string:org.freedesktop.Secret.Collection", "string:Locked",
)  # fmt: skip


@dataclass
class SecretService:
    """A desktop's session: its bus runs, and its keyring does from `sign_in` to `sign_out`."""

    env: dict[str, str]
    """What a program of this session has in its environment."""
    _keyring: subprocess.Popen[bytes] | None = None

    def sign_in(self) -> None:
        """As with the password: the login keyring is made, or opened."""
        self._serve("--unlock", given=PASSWORD)
        until(lambda: "boolean false" in self._locked())

    def sign_in_locked(self) -> None:
        """As without the password: the keyring answers, and does not open."""
        self._serve()
        until(lambda: "boolean true" in self._locked())

    def sign_out(self) -> None:
        """The keyring is gone, if it was there; the bus stays."""
        if self._keyring is not None:
            _end(self._keyring)
            self._keyring = None

    def _serve(self, *how: str, given: bytes = b"") -> None:
        self._keyring = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--components=secrets", *how],
            env=self.env, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._keyring.stdin is not None
        with self._keyring.stdin as stdin:
            stdin.write(given)

    def _locked(self) -> str:
        asked = subprocess.run(ASKED, env=self.env, capture_output=True, text=True, check=False)
        return asked.stdout


@contextmanager
def desktop(folder: Path) -> Iterator[SecretService]:
    """A session that keeps everything in `folder`. Skips where its programs are missing."""
    programs = ("dbus-daemon", "dbus-send", "gnome-keyring-daemon")
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        pytest.skip(f"not here: {', '.join(missing)} (packages dbus, gnome-keyring)")
    (folder / "bus.conf").write_text(BUS.format(path=folder / "bus"))
    homes = {
        f"XDG_{name}": str(folder / name.lower())
        for name in ("DATA_HOME", "CONFIG_HOME", "CACHE_HOME", "RUNTIME_DIR")
    }
    (folder / "runtime_dir").mkdir(mode=0o700)
    address = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder / 'bus'}"}
    session = SecretService({"PATH": os.environ["PATH"], "HOME": str(folder), **homes, **address})
    bus = subprocess.Popen(
        ["dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork", "--print-address"],
        env=session.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert bus.stdout is not None
        with bus.stdout:
            assert bus.stdout.readline(), "the bus did not start"
            yield session
    finally:
        session.sign_out()
        _end(bus)


def _end(program: subprocess.Popen[bytes]) -> None:
    program.terminate()
    program.wait(60)
