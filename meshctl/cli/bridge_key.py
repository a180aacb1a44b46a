"""The keys that `client install` makes for a client, and how they are known again.

Their ids are kept beside the record of what was written for that client. A key of the same name
that somebody made by hand is used, but neither changed nor revoked.
"""

from collections.abc import Sequence
from pathlib import Path

from meshctl.cli.context import Ctx
from meshd.wire import key as wire
from meshd.wire.calls import key
from meshd.wire.errors import NotFound


def provide(me: Ctx, app: str, name: str, connections: Sequence[str]) -> str | None:
    """See that there is a key `name`; one made here is allowed the connections.

    Returns its id if it was made now. Its secret is thrown away: the socket needs none.
    """
    try:
        found = me.call(key.SHOW, wire.KeyRef(name))
    except NotFound:
        made = me.call(key.ADD, wire.KeyAdd(name=name, allow=list(connections)))
        _keep(me, app, [*_made(me, app), made["id"]])
        return str(made["id"])
    if found["id"] in _made(me, app):
        me.call(key.EDIT, wire.KeyEdit(key=found["id"], allow=list(connections)))
    else:
        me.out.note(f'key "{name}" was there before and stays as it is')
    return None


def withdraw(me: Ctx, app: str, only: str | None = None) -> list[str]:
    """Revoke what was made for a client, or `only` one of it; the names of what is gone now."""
    names = []
    made = _made(me, app)
    going = made if only is None else [only]
    for ident in going:
        try:
            names.append(str(me.call(key.REVOKE, wire.KeyRef(ident))["name"]))
        except NotFound:
            continue  # somebody was faster, which is as good
    _keep(me, app, [ident for ident in made if ident not in going])
    return names


def _place(me: Ctx, app: str) -> Path:
    return me.home.clients / f"{app}.keys"


def _made(me: Ctx, app: str) -> list[str]:
    try:
        return _place(me, app).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []


def _keep(me: Ctx, app: str, ids: Sequence[str]) -> None:
    place = _place(me, app)
    if not ids:
        place.unlink(missing_ok=True)
        return
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.touch(mode=0o600)
    place.write_text("".join(f"{ident}\n" for ident in ids), encoding="utf-8")
