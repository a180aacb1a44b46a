"""meshd as a service of the system: where its file lies, and what stands in it. Writes nothing.

The templates are `daemon/systemd` and `daemon/launchd`; a wheel has them beside this module.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

MARK = "`meshctl daemon install`"
"""Stands in every file that is ours."""

LABEL = "io.meshctl.meshd"


class Unit(NamedTuple):
    """A service file: where it belongs, its text, and the commands that begin and end it."""

    path: Path
    text: str
    begin: str
    end: str


def user(platform: str, argv: Sequence[str], home: str, environ: Mapping[str, str]) -> Unit:
    """The service of one user, for launchd on `darwin`, else for systemd.

    `argv` runs the daemon's program. Its children find programs on the present `PATH`, which
    neither service manager would give it.
    """
    path = environ.get("PATH", os.defpath)
    if platform == "darwin":
        return _launchd(argv, home, path)
    folder = environ.get("XDG_CONFIG_HOME", "")
    root = Path(folder) if os.path.isabs(folder) else Path("~/.config").expanduser()  # noqa: PTH117 - of a text that may be empty
    text = _filled(
        template("systemd", "meshd.user.service"),
        MESHD=_command(argv),
        HOME=_assigned("MESHCTL_HOME", home),
        PATH=_assigned("PATH", path),
    )
    return Unit(
        root / "systemd" / "user" / "meshd.service",
        text,
        "systemctl --user daemon-reload && systemctl --user enable --now meshd",
        "systemctl --user disable --now meshd",
    )


def system(argv: Sequence[str]) -> Unit:
    """The service of a machine, for systemd; its home is its state folder."""
    text = _filled(template("systemd", "meshd.system.service"), MESHD=_command(argv))
    return Unit(
        Path("/etc/systemd/system/meshd.service"),
        text,
        "systemctl daemon-reload && systemctl enable --now meshd",
        "systemctl disable --now meshd",
    )


def template(folder: str, name: str) -> str:
    """The text of a template, from a wheel or a checkout."""
    here = Path(__file__)
    packaged = here.with_name(folder) / name
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (here.parents[2] / "daemon" / folder / name).read_text(encoding="utf-8")


def _launchd(argv: Sequence[str], home: str, path: str) -> Unit:
    target = Path("~/Library/LaunchAgents").expanduser() / f"{LABEL}.plist"
    text = _filled(
        template("launchd", f"{LABEL}.plist"),
        MESHD="\n".join(f"        <string>{escape(word)}</string>" for word in argv),
        HOME=escape(home),
        PATH=escape(path),
    )
    return Unit(
        target,
        text,
        f"launchctl bootstrap gui/$(id -u) {_shell(target)}",
        f"launchctl bootout gui/$(id -u)/{LABEL}",
    )


def _filled(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _command(argv: Sequence[str]) -> str:
    """Words of ExecStart= (systemd.service(5), command lines): there `$` expands variables."""
    return " ".join(_quoted(word).replace("$", "$$") for word in argv)


def _assigned(name: str, value: str) -> str:
    """A word of Environment= (systemd.exec(5)); a `$` there has no meaning."""
    return _quoted(f"{name}={value}")


def _quoted(word: str) -> str:
    """A word in systemd's quotes (systemd.syntax(7)), `%` not being a specifier."""
    inside = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inside}"'.replace("%", "%%")


def _shell(path: Path) -> str:
    from shlex import quote

    return quote(str(path))
