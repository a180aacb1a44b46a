"""The vault: its card, its data keys, and what came of opening everything."""

from collections.abc import Iterator

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look


def card(item: Item) -> Pairs:
    """`vault status`, above the data keys."""
    source = item["source"]
    key = item.get("key_id") or "-"
    needed = item.get("needed")
    pairs = [
        ("vault", item["state"]),
        ("why", item.get("reason")),
        ("source", f"{source['name']} ({source['place']})"),
        ("passed over", ", ".join(source["passed_over"])),
        ("master key", f"{key}  given by hand" if item["by_hand"] else key),
        ("needed", needed if needed != item.get("key_id") else ""),
        ("format", item["format"]),
    ]
    return [(label, value) for label, value in pairs if value]


def keys(item: Item) -> Iterator[Item]:
    """A row for each data key; the newest of an org has the count of what the org sealed."""
    for org in item["orgs"]:
        for key in org["data_keys"]:
            newest = key is org["data_keys"][-1]
            rows = sum(org["sealed"].values()) if newest else None
            yield {**key, "id": f"{org['org']}/{key['version']}", "org": org["name"], "rows": rows}


def table(look: Look) -> Table:
    """The data keys of `vault status`."""
    return Table(
        (
            Column("ORG", lambda k: str(k["org"])),
            Column("DATA KEY", lambda k: str(k["version"]), "right"),
            Column("STATE", lambda k: str(k["state"])),
            Column("SEALED ROWS", lambda k: "-" if k["rows"] is None else str(k["rows"]), "right"),
            Column("SEALS", lambda k: f"under {k['seals']}" if k["seals"] else "0", "right"),
            Column("ROTATE", lambda k: "due" if k["rotation_due"] else "-"),
            Column("AGE", lambda k: when.age(k["created_at"], look.now)),
        )
    )


def counts() -> Table:
    """`vault verify`: how many rows open."""
    return Table(
        (
            Column("ORG", lambda c: str(c["name"])),
            Column("TABLE", lambda c: str(c["table"])),
            Column("OPENED", lambda c: str(c["opened"]), "right"),
            Column("FAILED", lambda c: str(c["failed"]), "right"),
        ),
        key=lambda c: f"{c['org']}/{c['table']}",
    )


def failures() -> Table:
    """`vault verify`: what does not open."""
    return Table(
        (
            Column("TABLE", lambda f: str(f["table"])),
            Column("ROW", lambda f: str(f["row"])),
            Column("FIELD", lambda f: f["field"] or "-"),
            Column("WHY", lambda f: str(f["reason"]), flex=True),
        ),
        key=lambda f: str(f["row"]),
    )
