"""`meshctl client …`: programs on this machine that use MCP servers, and our entries in them."""

import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from meshctl.cli import ask, bridge_key
from meshctl.cli.adopt import person
from meshctl.cli.context import Ctx
from meshctl.client.home import Home
from meshctl.desktop import wiring
from meshctl.desktop.apps import APPS, App
from meshctl.desktop.errors import DesktopError
from meshctl.render import client as render
from meshd.wire import connection as wire
from meshd.wire.calls import connection, virtual
from meshd.wire.errors import MeshError, NotFound
from meshd.wire.virtual import VirtualRef

AppName = Annotated[
    Literal["claude-desktop", "claude-code", "cursor", "vscode"],
    typer.Argument(metavar="CLIENT", help="claude-desktop or cursor."),
]
File = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Its settings file, where that is elsewhere.")
]


def list_(ctx: typer.Context) -> None:
    """List the clients on this machine, and what of meshctl's they have."""
    me = Ctx.of(ctx)
    me.out.rows(render.table(me.look), [_item(me, app) for app in APPS], empty="no clients known")


def install(
    ctx: typer.Context,
    app_name: AppName,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONNECTION",
            help="Which ones, or virtual MCPs; all enabled connections without.",
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
    """
    me = Ctx.of(ctx)
    app, target = _app(me, app_name, file)
    chosen = list(dict.fromkeys(_chosen(me, names or [])))
    acting = key or app.id
    entries = {name: _entry(me, name, acting) for name in chosen}
    for name, entry in entries.items():
        me.out.note(f"{name}: {' '.join([entry['command'], *entry['args']])}")
    ask.confirm(me, f"write {', '.join(chosen)} into {target}?")
    made = bridge_key.provide(me, app.id, acting, chosen)
    try:
        done = wiring.install(app, target, entries, _state(me, app), create=file is not None)
    except DesktopError as error:
        if made:
            bridge_key.withdraw(me, app.id, only=made)
        raise _failed(error) from error
    shown = {"app": app.id, "file": str(done.file), "key": acting, "servers": chosen}
    me.out.done(shown, f'{", ".join(chosen)} in {done.file}, as key "{acting}"', key="app")
    me.out.note(f"restart {app.title} so that it reads its settings")
    me.out.next(f"meshctl client uninstall {app.id}  # takes it back")


def uninstall(ctx: typer.Context, app_name: AppName, *, file: File = None) -> None:
    """Take meshctl's entries out of a client's settings, and revoke the key made for it."""
    me = Ctx.of(ctx)
    app, target = _app(me, app_name, file)
    state = _state(me, app)
    try:
        names = wiring.installed(app, target, state)
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


def _item(me: Ctx, app: App) -> dict[str, Any]:
    """A row of `client list`."""
    file = _file(me, app)
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


def _state(me: Ctx, app: App) -> Path:
    """Where it is kept how to undo what was written for this client."""
    return me.home.clients / f"{app.id}.json"


def _chosen(me: Ctx, names: list[str]) -> list[str]:
    """The names of the connections and virtual MCPs that are meant.

    Raises:
        NotFound: there is none.
    """
    if names:
        return [_named(me, name) for name in names]
    items = me.call(connection.LIST)
    chosen = [item["name"] for item in items if item["state"] != "disabled"]
    if not chosen:
        raise NotFound("there is no connection to give", next="meshctl connect NAME URL")
    return chosen


def _named(me: Ctx, name: str) -> str:
    """The name of a connection or a virtual MCP that is named, maybe by its id.

    Raises:
        NotFound: it is neither.
    """
    try:
        return str(me.call(connection.SHOW, wire.ConnectionRef(name))["name"])
    except NotFound:
        with suppress(NotFound):
            return str(me.call(virtual.SHOW, VirtualRef(name))["name"])
        raise


def _entry(me: Ctx, name: str, key: str) -> dict[str, Any]:
    """What a client runs. Clients start programs without a shell's PATH, so it is absolute."""
    args = ["stdio", name, "--key", key]
    if me.org:
        args += ["--org", me.org]
    entry: dict[str, Any] = {"command": _program(), "args": args}
    usual = Home.find({**me.environ, "MESHCTL_HOME": ""})
    if me.home.text != usual.text:
        entry["env"] = {"MESHCTL_HOME": me.home.text}
    return entry


def _program() -> str:
    beside = Path(sys.executable).with_name("meshctl")
    found = str(beside) if beside.exists() else shutil.which("meshctl")
    if found is None:
        raise NotFound("the program meshctl is not installed", facts={"looked at": str(beside)})
    return found


def _failed(error: DesktopError) -> MeshError:
    return MeshError(error.sentence, next=error.next)
