"""The process of a stdio server, in words: for the card of its connection and for `daemon show`."""

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table

_WITHOUT = {
    "starting": "starting",
    "resting": "none, the next call starts it",
    "failing": "none, it failed a moment ago",
}


def pairs(item: Item) -> Pairs:
    """Lines of a card: `4130 4131, up 1m 2s, 48.2 MiB, 2 calls in flight`, and what was before."""
    pids = " ".join(str(pid) for pid in item.get("pids") or [item["pid"]])
    facts = [
        pids,
        f"up {when.duration(item['age_s'])}" if item["age_s"] is not None else "",
        when.size(item["rss_bytes"]) if item.get("rss_bytes") else "",
        f"{when.plural(item['in_flight'], 'call')} in flight",
    ]
    process = ", ".join(fact for fact in facts if fact) if item["pid"] else _WITHOUT[item["state"]]
    restarts = str(item["restarts"]) if item["restarts"] else ""
    return [("process", process), ("restarts", restarts), ("last exit", item["last_exit"])]


def table() -> Table:
    """The stdio servers that were used since the daemon started."""
    return Table(
        (
            Column("CONNECTION", lambda c: str(c["connection"])),
            Column("STATE", lambda c: str(c["state"])),
            Column("PIDS", lambda c: " ".join(map(str, c["pids"] or [c["pid"] or "-"]))),
            Column("UP", lambda c: "-" if c["age_s"] is None else when.duration(c["age_s"])),
            Column("MEMORY", _memory, align="right"),
            Column("CALLS", lambda c: str(c["in_flight"]), align="right"),
            Column("RESTARTS", lambda c: str(c["restarts"]), align="right"),
            Column("LAST EXIT", lambda c: c["last_exit"] or "", flex=True),
        ),
        key=lambda c: str(c["connection"]),
    )


def _memory(item: Item) -> str:
    return when.size(item["rss_bytes"]) if item["rss_bytes"] else "-"
