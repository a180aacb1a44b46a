"""`meshctl daemon install` and `uninstall`: meshd as a service that the system starts."""

import os
import sys
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from meshctl.cli import unit
from meshctl.cli.context import Ctx
from meshctl.client.start import meshd
from meshd.wire.errors import Conflict, Usage

System = Annotated[
    bool, typer.Option("--system", help="Print the unit of a whole machine; root puts it in place.")
]
Print = Annotated[bool, typer.Option("--print", help="Print the file and write nothing.")]

SYSTEM_HOMES = ("/home/", "/root/", "/Users/")


def install(ctx: typer.Context, system: System = False, print_: Print = False) -> None:
    """Let the system start meshd: a systemd user unit, or a launchd agent on macOS.

    A changed PATH, home or Python is taken over by installing again.
    """
    me = Ctx.of(ctx)
    if system:
        _print_system(me)
        return
    ours = _user(me)
    if print_:
        me.out.line(ours.text.rstrip("\n"))
        return
    _refuse_foreign(ours.path)
    _write(ours.path, ours.text)
    me.out.done({"path": str(ours.path)}, f"wrote {ours.path}", key="path")
    me.out.next(f"meshctl daemon stop; {ours.begin}")


def uninstall(ctx: typer.Context) -> None:
    """Remove the file that `daemon install` wrote; what runs is left running."""
    me = Ctx.of(ctx)
    ours = _user(me)
    there = ours.path.exists()
    if there:
        _refuse_foreign(ours.path)
        ours.path.unlink()
    text = f"removed {ours.path}" if there else f"{ours.path} was not there"
    me.out.done({"path": str(ours.path) if there else None}, text, key="path")
    if there:
        me.out.next(ours.end)


def _user(me: Ctx) -> unit.Unit:
    return unit.user(sys.platform, meshd(), me.home.text, me.environ)


def _print_system(me: Ctx) -> None:
    if sys.platform == "darwin":
        raise Usage("macOS has no system units of systemd", next="meshctl daemon install")
    ours = unit.system(meshd())
    me.out.line(ours.text.rstrip("\n"))
    if sys.executable.startswith(SYSTEM_HOMES):
        me.out.note(f"note: the service cannot see {sys.executable}: install meshctl below /opt")
    me.out.next(f"meshctl daemon install --system | sudo tee {ours.path}")


def _refuse_foreign(path: Path) -> None:
    """Leave a file alone that somebody else wrote.

    Raises:
        Conflict: there is one.
    """
    if path.exists() and unit.MARK not in path.read_text(encoding="utf-8", errors="replace"):
        raise Conflict(f"{path} is not meshctl's", next=f"mv '{path}' '{path}.before'")


def _write(path: Path, text: str) -> None:
    """Put a whole file in place, or leave what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
