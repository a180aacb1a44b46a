"""`meshctl client …`: programs on this machine that use MCP servers, and our entries in them."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from meshctl.cli import ask, bridge_entry, bridge_key
from meshctl.cli.adopt import person
from meshctl.cli.context import Ctx
from meshctl.desktop import wiring
from meshctl.desktop.apps import APPS, App
from meshctl.desktop.errors import DesktopError
from meshctl.render import client as render
from meshd.wire.errors import MeshError

AppName = Annotated[
    Literal["claude-desktop", "claude-code", "cursor", "vscode"],
    typer.Argument(metavar="CLIENT", help="claude-desktop, cursor or vscode."),
]
File = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Its settings file, where that is elsewhere.")
]


def list_(ctx: typer.Context) -> None:
    """List the clients on this machine, and what of meshctl's they have."""
    me = Ctx.of(ctx)
    items = [_item(me, app, file) for app in APPS for file in _files(me, app)]
    me.out.rows(render.table(me.look), items, empty="no clients known")


def install(
    ctx: typer.Context,
    app_name: AppName,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONNECTION",
            help="Which ones, virtual MCPs, or self; all enabled connections without.",
        ),
    ] = None,
    *,
    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="Act as this key, not one of its own.")
    ] = None,
    file: File = None,
) -> None:
    """Give a client your connections: entries that run `meshctl stdio`, and a key of its own.

    No secret is written: the entries name the key, and the daemon's socket knows who runs them.
    With self, meshctl's own server, the key made here may look at everything and change nothing.
    """
    me = Ctx.of(ctx)
    app, target = _app(me, app_name, file)
    chosen = bridge_entry.chosen(me, names or [])
    acting = key or app.id
    entries = {name: bridge_entry.entry(me, app, name, acting) for name in chosen}
    allowed = bridge_entry.grants(chosen)
    if _is_off_limits(me, app, target):
        raise MeshError(
            f"only {app.title} itself may write {target}: it rewrites it as it runs",
            facts={"run": bridge_entry.claude_lines(entries)},
            next=f"meshctl add-key {acting} {_allow(allowed)} > /dev/null  # then run that",
        )
    for name, entry in entries.items():
        me.out.note(f"{name}: {' '.join([entry['command'], *entry['args']])}")
    ask.confirm(me, f"write {', '.join(chosen)} into {target}?")
    made = bridge_key.provide(me, app.id, acting, allowed)
    try:
        done = wiring.install(app, target, entries, _state(me, app), create=file is not None)
    except DesktopError as error:
        if made:
            bridge_key.withdraw(me, app.id, only=made)
        raise _failed(error) from error
    shown = {"app": app.id, "file": str(done.file), "key": acting, "servers": chosen}
    me.out.done(shown, f'{", ".join(chosen)} in {done.file}, as key "{acting}"', key="app")
    me.out.note(f"restart {app.title} so that it reads its settings")
    if bridge_entry.SELF in chosen and key is None:
        me.out.next(f"meshctl key edit {acting} --allow self/CALL  # self only looks without")
    elsewhere = "" if file is None else f" --file {shlex.quote(str(file))}"
    me.out.next(f"meshctl client uninstall {app.id}{elsewhere}  # takes it back")


def uninstall(ctx: typer.Context, app_name: AppName, *, file: File = None) -> None:
    """Take meshctl's entries out of a client's settings, and revoke the key made for it."""
    me = Ctx.of(ctx)
    app, target = _app(me, app_name, file)
    state = _state(me, app)
    try:
        names = wiring.installed(app, target, state)
        if names and _is_off_limits(me, app, target):
            raise MeshError(
                f"only {app.title} itself may write {target}: it rewrites it as it runs",
                next=" && ".join(f"claude mcp remove --scope user {name}" for name in names),
            )
        if names:
            ask.confirm(me, f"take {', '.join(names)} out of {target}?")
        done = wiring.uninstall(app, target, state)
    except DesktopError as error:
        raise _failed(error) from error
    # Entries in another file of the same client still need the key.
    revoked = [] if state.exists() else bridge_key.withdraw(me, app.id)
    shown = {
        "app": app.id,
        "file": str(done.file),
        "removed": list(done.removed),
        "revoked": revoked,
    }
    what = f"took {', '.join(done.removed)} out of" if done.removed else "nothing of meshctl's in"
    me.out.done(shown, f"{what} {done.file}", key="app")
    for key in revoked:
        me.out.note(f'revoked key "{key}"')
    for other in wiring.files_written(state):
        me.out.next(f"meshctl client uninstall {app.id} --file {shlex.quote(str(other))}")


def _item(me: Ctx, app: App, file: Path) -> dict[str, Any]:
    """A row of `client list`."""
    servers: list[str] = []
    problem = None
    try:
        servers = wiring.installed(app, file, _state(me, app))
        state = "installed" if servers else "present" if file.exists() else "absent"
    except DesktopError as error:
        state, problem = "unreadable", error.sentence
    return {
        "app": app.id,
        "state": state,
        "servers": servers,
        "file": str(file),
        "problem": problem,
    }


def _app(me: Ctx, name: str, file: Path | None) -> tuple[App, Path]:
    app = next(app for app in APPS if app.id == name)
    return app, file or _file(me, app)


def _file(me: Ctx, app: App) -> Path:
    """The client's own file: the first that exists, else the one it would make."""
    files = app.files(person(me), sys.platform, me.environ)
    return next((file for file in files if file.exists()), files[0])


def _files(me: Ctx, app: App) -> Iterator[Path]:
    """The client's own file, others of its own that exist, and where `--file` led `install`."""
    first = _file(me, app)
    yield first
    others = [file for file in app.files(person(me), sys.platform, me.environ) if file.exists()]
    with suppress(DesktopError):  # a damaged ledger is said in the row of the first
        others += wiring.files_written(_state(me, app))
    seen = {first.resolve()}
    for file in others:
        if file.resolve() not in seen:
            seen.add(file.resolve())
            yield file


def _is_off_limits(me: Ctx, app: App, target: Path) -> bool:
    """Whether it is a file that only its client may write."""
    own = app.files(person(me), sys.platform, me.environ)
    return app.rewrites_own and target.resolve() in {file.resolve() for file in own}


def _allow(grants: list[str]) -> str:
    return " ".join(f"--allow {shlex.quote(grant)}" for grant in grants)


def _state(me: Ctx, app: App) -> Path:
    """Where it is kept how to undo what was written for this client."""
    return me.home.clients / f"{app.id}.json"


def _failed(error: DesktopError) -> MeshError:
    return MeshError(error.sentence, next=error.next)
