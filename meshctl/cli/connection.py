"""`meshctl connection …` and `meshctl connect`: the MCP servers behind the daemon."""

import shutil
from typing import Annotated

import typer
from msgspec import UNSET

from meshctl.cli import ask, paste
from meshctl.cli.context import Ctx
from meshctl.cli.paste import Bodies, Trust
from meshctl.desktop.spec import ServerSpec
from meshctl.render import connection as render
from meshd.wire import connection as wire
from meshd.wire.calls import connection
from meshd.wire.errors import Usage

Name = Annotated[str, typer.Argument(metavar="CONNECTION", help="Name or id of a connection.")]
Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header", metavar="'K: V'", help="Sent with each request; V may be @FILE, @-, env:NAME."
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="K=V", help="For the program; V may be @FILE, @-, env:NAME."),
]
Cwd = Annotated[str | None, typer.Option(metavar="DIR", help="The folder the program runs in.")]
Keep = Annotated[Bodies | None, typer.Option("--bodies", help="What call records keep of bodies.")]

Trusted = Annotated[
    Trust | None,
    typer.Option("--trust", help="Serve its tools as they come, or only as they were approved."),
]


def list_(ctx: typer.Context) -> None:
    """List connections with their state."""
    me = Ctx.of(ctx)
    items = me.call(connection.LIST)
    me.out.rows(
        render.table(me.look),
        items,
        empty="no connections yet",
        next="meshctl connect NAME URL",
    )


def show(ctx: typer.Context, name: Name) -> None:
    """Show one connection; what is secret is named, never shown."""
    me = Ctx.of(ctx)
    shown = me.call(connection.SHOW, wire.ConnectionRef(name))
    me.out.card(shown, render.card(shown, me.look))


def add(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="1 to 40 of a-z, 0-9 and -; or - for a paste.")
    ],
    target: Annotated[
        list[str] | None, typer.Argument(metavar="URL | -- CMD ARG… | -", help="The MCP server.")
    ] = None,
    *,
    header: Headers = None,
    env: Env = None,
    cwd: Cwd = None,
    transport: Annotated[
        str | None, typer.Option(metavar="http | sse", help="Found out where it is not given.")
    ] = None,
    bodies: Keep = None,
    trust: Trusted = None,
) -> None:
    """Connect an MCP server: a URL, a program after `--`, or a paste on stdin."""
    me = Ctx.of(ctx)
    how = paste.How(bodies or "redacted", trust or "open")
    if "-" in {name, *(target or [])[:1]} and (header or env or cwd is not None):
        raise Usage("a paste brings its own headers, env and folder")
    if name == "-" and not target:
        raise typer.Exit(paste.connect_all(me, paste.from_stdin(None), how))
    if target == ["-"]:
        (spec,) = paste.from_stdin(name)
    else:
        spec = _spec(name, target or [], _headers(me, header), _env(me, env), cwd)
    over_http = spec.transport != "stdio" and transport in {"http", "sse"}
    if transport not in {None, spec.transport} and not over_http:  # the daemon finds out which
        raise Usage(
            f"--transport {transport} does not fit what is given, which is {spec.transport}"
        )
    added = paste.connect(me, spec, how)
    paste.show(me, added)
    for command in render.next_steps(added):
        me.out.next(command)


def edit(
    ctx: typer.Context,
    name: Name,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- CMD ARG…", help="Another program.")
    ] = None,
    *,
    new_name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="A new name.")
    ] = None,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Another URL.")] = None,
    header: Headers = None,
    remove_header: Annotated[
        list[str] | None, typer.Option(metavar="K", help="Send this header no more.")
    ] = None,
    env: Env = None,
    remove_env: Annotated[
        list[str] | None, typer.Option(metavar="K", help="Set this variable no more.")
    ] = None,
    cwd: Cwd = None,
    bodies: Keep = None,
    trust: Trusted = None,
    idle: Annotated[
        str | None,
        typer.Option(metavar="30m|never", help="Stop the program when unused for so long."),
    ] = None,
) -> None:
    """Change a connection; credentials stay with the origin they were given for."""
    me = Ctx.of(ctx)
    over_http = wire.ConnectionEdit(
        connection=name,
        name=UNSET if new_name is None else new_name,
        url=UNSET if url is None else url,
        headers={**dict.fromkeys(remove_header or []), **_headers(me, header)},
        bodies=bodies or UNSET,
        trust=trust or UNSET,
    )
    program = wire.ConnectionEditStdio(
        connection=name,
        name=over_http.name,
        command=command or UNSET,
        env={**dict.fromkeys(remove_env or []), **_env(me, env)},
        cwd=UNSET if cwd is None else cwd or None,
        bodies=over_http.bodies,
        trust=over_http.trust,
        idle=UNSET if idle is None else idle,
    )
    of_program = bool(command or program.env or cwd is not None or idle is not None)
    if of_program and (url is not None or over_http.headers):
        raise Usage(
            "a connection has a URL and headers, or a program with env and folder, not both"
        )
    if not of_program and over_http == wire.ConnectionEdit(connection=name):
        raise Usage("nothing to change", next="meshctl connection edit --help")
    edited = (
        me.call(connection.EDIT_STDIO, program, timeout=paste.PATIENCE_SECONDS)
        if of_program
        else me.call(connection.EDIT, over_http, timeout=paste.PATIENCE_SECONDS)
    )
    if me.flags.json:
        me.out.json(edited)
        return
    after = edited["connection"]
    me.out.card(after, render.card(after, me.look))
    if trust == "pinned":
        me.out.note(render.pinned(after))
    if edited["dropped"]:
        me.out.note(f"dropped, since they belong to another origin: {', '.join(edited['dropped'])}")
        me.out.next(f"meshctl connection edit {name} --header 'K: V'")


def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a connection, its credentials and its grants."""
    me = Ctx.of(ctx)
    ask.confirm(me, f'remove connection "{name}", its credentials and the grants on it?')
    gone = me.call(connection.REMOVE, wire.ConnectionRef(name))
    me.out.done(gone, f'removed connection "{gone["name"]}"')


def enable(ctx: typer.Context, name: Name) -> None:
    """Serve a connection again."""
    me = Ctx.of(ctx)
    shown = me.call(connection.ENABLE, wire.ConnectionRef(name), timeout=paste.PATIENCE_SECONDS)
    me.out.card(shown, render.card(shown, me.look))


def disable(ctx: typer.Context, name: Name) -> None:
    """Stop serving a connection, keeping everything about it."""
    me = Ctx.of(ctx)
    shown = me.call(connection.DISABLE, wire.ConnectionRef(name))
    me.out.card(shown, render.card(shown, me.look))


def test(ctx: typer.Context, name: Name) -> None:
    """Reach the MCP server and list its tools afresh."""
    me = Ctx.of(ctx)
    tested = me.call(connection.TEST, wire.ConnectionRef(name), timeout=paste.PATIENCE_SECONDS)
    if me.flags.json:
        me.out.json(tested)
    elif me.flags.quiet:
        me.out.line(tested["connection"]["id"])
    else:
        me.out.lines(render.tested(tested, me.look))


def _spec(
    name: str,
    target: list[str],
    headers: dict[str, str],
    env: dict[str, str],
    cwd: str | None,
) -> ServerSpec:
    """The server that a command line describes.

    Raises:
        Usage: it describes none, or mixes the two kinds.
    """
    if not target:
        raise Usage(
            f'what should "{name}" connect to?',
            next=f"meshctl connect {name} URL, or meshctl connect {name} -- CMD ARG…",
        )
    if "://" in target[0]:
        if len(target) > 1 or env or cwd is not None:
            raise Usage(
                "after a URL only --header, --transport, --bodies and --trust have a meaning"
            )
        return ServerSpec(name, "http", url=target[0], headers=headers)
    if headers:
        raise Usage("--header belongs to a URL; a program gets --env")
    if len(target) == 1 and shutil.which(target[0]) is None:
        raise Usage(
            f'"{target[0]}" is neither a URL nor a program',
            next=f"meshctl connect {name} https://{target[0]}",
        )
    return ServerSpec(name, "stdio", command=tuple(target), env=env, cwd=cwd)


def _headers(me: Ctx, given: list[str] | None) -> dict[str, str]:
    pairs = (_pair(text, ":", "--header takes 'NAME: VALUE'") for text in given or [])
    return {name: ask.resolve_value(me, value.strip(), name=name) for name, value in pairs}


def _env(me: Ctx, given: list[str] | None) -> dict[str, str]:
    pairs = (_pair(text, "=", "--env takes NAME=VALUE") for text in given or [])
    return {name: ask.resolve_value(me, value, name=name) for name, value in pairs}


def _pair(text: str, between: str, rule: str) -> tuple[str, str]:
    """A name and its value. The error does not repeat the text: it may hold a secret."""
    name, found, value = text.partition(between)
    if not found or not name.strip():
        raise Usage(rule)
    return name.strip(), value
