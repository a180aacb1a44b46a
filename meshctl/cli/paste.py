"""From a server that somebody wrote down to a connection: pastes, adoption, the command line."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from meshctl.cli import fail
from meshctl.cli.context import Ctx
from meshctl.desktop.placeholders import placeholders
from meshctl.desktop.spec import ServerSpec, looks_secret
from meshctl.render import connection as render
from meshd.wire import connection as wire
from meshd.wire.calls import connection
from meshd.wire.errors import MeshError, Usage

Bodies = Literal["off", "redacted", "full"]
Trust = Literal["open", "pinned"]

PATIENCE_SECONDS = 900.0
"""A server that is run for the first time may download itself first."""

RIGHTS = "this server runs on your machine with the daemon's own user rights"


class How(NamedTuple):
    """What is said of a connection beside its server."""

    bodies: Bodies = "redacted"
    trust: Trust = "open"


def connect(me: Ctx, spec: ServerSpec, how: How = How()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Add the connection that a spec describes.

    Raises:
        Usage: values are still to be filled in.
        MeshError: as the daemon answers.
    """
    # A command line was typed by somebody who means it; what was copied is only half filled in.
    if spec.source and (holes := placeholders(spec)):
        raise Usage(
            f'"{spec.name}" has placeholders that wait for values',
            facts={str(number): hole for number, hole in enumerate(holes, 1)},
            next="put your values in their place and run the same command again",
        )
    if any(looks_secret("", word) for word in spec.command):
        me.out.note(
            "a word of the command looks secret, and every process here can read it: use --env K=V"
        )
    row, asks = _request(spec, how)
    added: dict[str, Any] = me.call(row, asks, timeout=PATIENCE_SECONDS)
    return added


def show(me: Ctx, added: dict[str, Any]) -> None:
    """What a fresh connection is worth, at once."""
    me.out.done(added, "\n".join(render.added(added, me.look)))
    if added["transport"] == "stdio":
        me.out.note(f"note: {RIGHTS}")
    if added.get("trust") == "pinned":
        me.out.note(f"note: {render.pinned(added)}")


def connect_all(me: Ctx, specs: Sequence[ServerSpec], how: How) -> int:
    """Connect each; what fails is said and the others are still done.

    The exit code is that of the first failure.
    """
    done: list[dict[str, Any]] = []
    code = 0
    for spec in specs:
        try:
            done.append(connect(me, spec, how))
        except MeshError as error:
            error.facts = {"server": spec.name, **error.facts}
            failed = fail.report(error, me.flags)
            code = code or failed
            continue
        if not me.flags.json:
            show(me, done[-1])
    if me.flags.json:
        me.out.json(done)
    elif done:
        me.out.next("meshctl add-key NAME")
    return code


def from_stdin(name: str | None) -> list[ServerSpec]:
    """The servers of a paste on stdin; with a `name`, the one it must hold, under that name.

    Raises:
        Usage: nothing usable was pasted, or not exactly one server though a name is given.
    """
    from meshctl.desktop.errors import DesktopError
    from meshctl.desktop.paste import read_paste

    try:
        specs = read_paste(sys.stdin.read())
    except DesktopError as error:
        raise Usage(error.sentence, next=error.next) from error
    if name is None:
        return specs
    if len(specs) != 1:
        raise Usage(
            f"a name is given, and the paste holds {len(specs)} servers",
            facts={"servers": ", ".join(spec.name for spec in specs)},
            next="meshctl connect -",
        )
    return [replace(specs[0], name=name)]


def _request(spec: ServerSpec, how: How) -> tuple[Any, Any]:
    if spec.transport == "stdio":
        return connection.ADD_STDIO, wire.ConnectionAddStdio(
            name=spec.name,
            command=list(spec.command),
            env=dict(spec.env),
            cwd=spec.cwd,
            bodies=how.bodies,
            trust=how.trust,
        )
    return connection.ADD, wire.ConnectionAdd(
        name=spec.name,
        url=spec.url or "",
        headers=dict(spec.headers),
        bodies=how.bodies,
        trust=how.trust,
    )
