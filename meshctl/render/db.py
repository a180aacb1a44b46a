"""The database as a whole: its card, its tables, what was done with it."""

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look

DIGITS = 12
"""Of a checksum; the rest is in the JSON."""


def card(item: Item, look: Look) -> Pairs:
    """`db status`."""
    if not item["exists"]:
        missing = when.plural(len(item["pending"]), "migration")
        state = f"nothing yet; the first start applies {missing}"
        return [("engine", item["engine"]), ("where", item["where"]), ("state", state)]
    last = item["last_backup"]
    applied = item["applied"]
    return [
        ("engine", item["engine"]),
        ("where", item["where"]),
        ("size", when.size(item["size_bytes"])),
        ("check", item["flaw"] or "ok"),
        ("installation", item["installation"] or "-"),
        ("migrations", f"{len(applied)} applied, the last is {applied[-1]['migration']}"),
        ("pending", "\n".join(item["pending"]) or "none"),
        ("sealed with", _keys(item)),
        ("key here", item["key_here"] or "none"),
        ("last backup", f"{last['file']} {when.stamp(last['at'], look.now)}" if last else "never"),
    ]


def tables() -> Table:
    """Rows by table."""
    return Table(
        (
            Column("TABLE", lambda t: str(t["table"])),
            Column("ROWS", lambda t: str(t["rows"]), align="right"),
        ),
        key=lambda t: str(t["table"]),
    )


def migrated(done: Item) -> list[str]:
    """`db migrate`."""
    if not done["applied"]:
        return [f"nothing to do: {done['where']} has every migration"]
    return [f"applied {name}" for name in done["applied"]]


def backed_up(done: Item, look: Look) -> Pairs:
    """`db backup`."""
    return [
        ("file", done["file"]),
        ("size", when.size(done["bytes"])),
        ("at", when.stamp(done["at"], look.now)),
        ("rows", _rows(done)),
        ("needs key", _keys(done)),
    ]


def restored(done: Item, look: Look) -> Pairs:
    """`db restore`."""
    return [
        ("restored", done["file"]),
        ("of", when.stamp(done["at"], look.now)),
        ("into", done["where"]),
        ("rows", _rows(done)),
        ("needs key", _keys(done)),
        ("key here", done["key_here"] or "none"),
        ("kept", done["kept"] or "nothing was there"),
        ("pending", "\n".join(done["pending"]) or "none"),
    ]


def moved() -> Table:
    """`db move`: both sides of each table."""
    return Table(
        (
            Column("TABLE", lambda t: str(t["table"])),
            Column("ROWS", lambda t: str(t["rows"]), align="right"),
            Column("THERE", lambda t: str(t["rows_there"]), align="right"),
            Column("CHECKSUM", lambda t: t["checksum"][:DIGITS]),
            Column("THERE", lambda t: t["checksum_there"][:DIGITS]),
            Column("U+0000", lambda t: str(t["replaced_nul"] or "-"), align="right"),
        ),
        key=lambda t: str(t["table"]),
    )


def proved(done: Item) -> list[str]:
    """What the table of a move says, in sentences."""
    rows = when.plural(sum(table["rows"] for table in done["tables"]), "row")
    lines = [
        f"moved {rows} to {done['target']} in {done['seconds']:.1f} s; every checksum is equal"
    ]
    changed = sum(table["replaced_nul"] for table in done["tables"])
    if changed:
        lines.append(
            f"warning: {when.plural(changed, 'row')} had text with U+0000, which Postgres cannot "
            "hold; U+FFFD stands for it there, and in the checksums of both sides"
        )
    return lines


def _keys(item: Item) -> str:
    return ", ".join(item["sealed_with"]) or "no key yet"


def _rows(item: Item) -> str:
    tables = [table for table in item["tables"] if table["rows"]]
    return ", ".join(f"{table['rows']} {table['table']}" for table in tables) or "none"
