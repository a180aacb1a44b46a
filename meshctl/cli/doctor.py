"""`meshctl doctor`: is this machine fit, are the files safe, is the daemon well?

What only the daemon's own program can see (its libraries, its database, its children) it checks
itself, in a child process, so that all of this works without a running daemon.
"""

import json
import os
import platform
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from meshctl import __version__
from meshctl.cli.context import Ctx
from meshctl.client.client import Client
from meshctl.client.home import Home
from meshctl.client.start import environment, meshd
from meshctl.render.doctor import lines
from meshd.wire.errors import DaemonDown, MeshError

TESTED = ((3, 11), (3, 13))
"""The oldest and the newest Python that this release is tested on."""

SHOWN = 3
"""Files that a note names before it counts the rest."""

Check = dict[str, str]
"""`check` (its name), `state` (`pass`, `weak` or `fail`), `note`, and `next` where one helps."""


def doctor(ctx: typer.Context) -> None:
    """Check this machine, the files and the daemon."""
    me = Ctx.of(ctx)
    checks = [
        python(sys.version_info[:3]),
        system(sys.platform, platform.release()),
        user(os.geteuid()),
        files(me.home),
        *daemon(me.client, me.home),
        *program(me.home),
    ]
    if me.out.as_json:
        me.out.json(checks)
    elif me.out.quiet:
        me.out.lines([check["check"] for check in checks if check["state"] == "fail"])
    else:
        me.out.lines(lines(checks, me.look))
    raise typer.Exit(int(any(check["state"] == "fail" for check in checks)))


def python(version: tuple[int, ...]) -> Check:
    """Old ones cannot run it at all; later ones have not been tried."""
    text = ".".join(map(str, version))
    oldest, newest = TESTED
    if oldest <= version[:2] <= newest:
        return _check("python", "pass", text)
    tested = f"tested with {oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    return _check("python", "weak", f"{text}, {tested}", "uv tool install --python 3.13 meshctl")


def system(name: str, release: str) -> Check:
    """Linux, macOS and WSL have the sockets, locks and process groups this is built on."""
    if name == "darwin":
        return _check("platform", "pass", "macOS")
    if name == "linux":
        return _check("platform", "pass", "WSL" if "microsoft" in release.lower() else "Linux")
    return _check("platform", "fail", f"{name} is not supported", "use Linux, macOS or WSL")


def user(uid: int) -> Check:
    """Servers that the daemon runs have its rights."""
    if uid:
        return _check("user", "pass", f"uid {uid}")
    note = "root: every MCP server that meshd runs is root too"
    return _check("user", "weak", note, "run meshctl as an ordinary user")


def files(home: Home) -> Check:
    """No file of the home may have group or other bits, or another owner."""
    if not home.root.exists():
        return _check("files", "pass", f"{home.text} is not there yet")
    loose = sorted(_loose(home.root))
    if not loose:
        return _check("files", "pass", f"{home.text} is yours alone")
    shown = ", ".join(str(path) for path in loose[:SHOWN])
    rest = f" and {len(loose) - SHOWN} more" if len(loose) > SHOWN else ""
    return _check("files", "fail", f"open to others: {shown}{rest}", f"chmod -R go= '{home.text}'")


def daemon(client: Callable[[], Client], home: Home) -> Iterator[Check]:
    """The socket, the version behind it, and the problems it reports."""
    try:
        status = client().get("/v1/status")
    except DaemonDown:
        yield _check("daemon", "weak", "meshd is not running", "meshctl daemon start")
        return
    except MeshError as error:
        yield _check("daemon", "fail", error.message, error.next)
        return
    yield _check("daemon", "pass", f"pid {status['daemon']['pid']} on {home.at('meshd.sock')}")
    yield _version(status["daemon"]["version"])
    problems = status.get("problems", [])
    for problem in problems:
        yield _check("problem", "fail", problem["message"], problem["next"])
    if not problems:
        yield _check("connections", "pass", "none fails")


def program(home: Home) -> list[Check]:
    """What the daemon's program finds; one failed check when it cannot run."""
    try:
        asked = subprocess.run(
            meshd("doctor", "--json"),
            capture_output=True,
            check=False,
            timeout=30,
            env=environment(home),
        )
        return [_taken(check) for check in json.loads(asked.stdout)]
    except subprocess.TimeoutExpired:
        note = "meshd doctor did not answer within 30 s"
    except (ValueError, KeyError, TypeError):
        said = asked.stderr.decode("utf-8", "replace").strip().splitlines()
        note = f"meshd doctor failed: {said[-1] if said else f'exit code {asked.returncode}'}"
    return [_check("meshd", "fail", note, f"{sys.executable} -m meshd doctor --json")]


def _taken(check: Any) -> Check:
    """A check of the daemon's program.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    if check["state"] not in {"pass", "weak", "fail"}:
        raise ValueError(check["state"])
    return _check(str(check["check"]), check["state"], str(check["note"]), check.get("next"))


def _version(theirs: str) -> Check:
    if theirs == __version__:
        return _check("version", "pass", theirs)
    note = f"meshd is {theirs}, meshctl is {__version__}"
    return _check("version", "weak", note, "meshctl daemon restart")


def _loose(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            try:
                known = path.lstat()
            except FileNotFoundError:
                continue  # a running daemon's files come and go
            theirs = known.st_uid != os.geteuid()
            if theirs or (not stat.S_ISLNK(known.st_mode) and known.st_mode & 0o077):
                yield path


def _check(name: str, state: str, note: str, then: str | None = None) -> Check:
    return {"check": name, "state": state, "note": note, **({"next": then} if then else {})}
