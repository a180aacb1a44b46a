"""Adopting servers: what the clients on this machine have becomes connections of the daemon.

The clients' own files are read and never changed.
"""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from meshctl.cli import ask, paste
from meshctl.cli.context import Ctx
from meshctl.desktop.found import find_servers
from meshctl.desktop.spec import ServerSpec
from meshctl.render.safe import safe
from meshctl.render.when import plural
from meshd.wire.calls import connection
from meshd.wire.errors import MeshError


def person(me: Ctx) -> Path:
    """The home folder of whoever runs this, where clients keep their files."""
    home = me.environ.get("HOME")
    return Path(home) if home else Path.home()


def offer(me: Ctx, *, take: bool | None) -> None:
    """Adopt what is found; `take` None asks, and without a terminal only tells.

    A server that cannot be adopted is said, and is no failure.
    """
    if take is False:
        return
    found = find_servers(person(me), sys.platform, me.environ, Path.cwd())
    for problem in found.problems:
        me.out.note(f"note: {safe(problem.sentence)}")
    known = {item["name"] for item in me.call(connection.LIST)}
    servers = _adoptable(found.servers, known)
    if not servers:
        return
    for spec in servers:
        me.out.note(f"found  {spec.name}  {spec.transport}  {safe(spec.source)}")
    if take or _agreed(me, f"adopt {plural(len(servers), 'server')} of your clients?"):
        for spec in servers:
            _adopt(me, spec)
    else:
        me.out.next(
            "meshctl quickstart --adopt  # connects them; your clients' files stay as they are"
        )


def _adoptable(servers: Iterable[ServerSpec], known: set[str]) -> list[ServerSpec]:
    """Those that are switched on and have no connection of their name, equal ones once."""
    fresh: list[ServerSpec] = []
    for spec in servers:
        twin = any(replace(spec, source=other.source) == other for other in fresh)
        if spec.name not in known and not spec.disabled and not twin:
            fresh.append(spec)
    return fresh


def _agreed(me: Ctx, question: str) -> bool:
    """Whether a person at a terminal says yes; --yes is for what a command was told to do."""
    if me.flags.yes or me.flags.json:
        return False
    try:
        ask.confirm(me, question)
    except MeshError:
        return False
    return True


def _adopt(me: Ctx, spec: ServerSpec) -> None:
    try:
        added = paste.connect(me, spec)
    except MeshError as error:
        me.out.note(f"not adopted  {spec.name}  {safe(error.message)}")
        return
    me.out.note(f"adopted  {added['name']}  undo: meshctl connection remove {added['name']}")
