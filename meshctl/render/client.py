"""Desktop clients: where each keeps its servers, and which of those are meshctl's."""

from collections.abc import Mapping

from meshctl.render.columns import Column, Item, Table
from meshctl.render.look import Look, Mark

_STATES: Mapping[str, tuple[Mark, str]] = {
    "installed": ("good", "green"),
    "present": ("off", ""),
    "absent": ("off", "dim"),
    "unreadable": ("bad", "red"),
}


def table(look: Look) -> Table:
    """`client list`; items have `app`, `state`, `servers` (names), `file` and `problem`."""
    return Table(
        (
            Column("CLIENT", lambda c: str(c["app"])),
            Column(
                "STATE",
                lambda c: f"{look.mark(_STATES[c['state']][0])} {c['state']}",
                style=lambda c: _STATES[c["state"]][1],
            ),
            Column("SERVERS", _servers),
            Column("FILE", lambda c: str(c["file"])),
            Column("PROBLEM", lambda c: c["problem"] or "", flex=True),
        ),
        key=lambda c: str(c["app"]),
    )


def _servers(item: Item) -> str:
    return ", ".join(item["servers"]) or "-"
