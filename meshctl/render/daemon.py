"""The inside of the daemon: its card and its running stdio servers."""

from meshctl.render import config, when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.look import Look


def card(item: Item, look: Look) -> Pairs:
    """`daemon show`: settings last, each with where it came from."""
    return [
        ("pid", str(item["pid"])),
        ("version", f"{item['version']} (Python {item['python']}, {item['loop']})"),
        ("started", when.stamp(item["started_at"], look.now)),
        ("gateway", f"{item['url']}/mcp"),
        ("socket", item["socket"]),
        ("home", item["home"]),
        ("log", item["log"]),
        ("memory", when.size(item["rss_bytes"])),
        ("children", when.plural(len(item["children"]), "stdio server")),
        ("sessions", f"{item['sessions_ended']} ended"),
        ("records", f"{item['records_written']} written, {item['records_dropped']} dropped"),
        *((setting["name"], config.stated(setting)) for setting in item["settings"]),
    ]


def children() -> Table:
    """The stdio servers that run now."""
    return Table(
        (
            Column("CONNECTION", lambda c: str(c["connection"])),
            Column("PID", lambda c: str(c["pid"]), align="right"),
            Column("UP", lambda c: when.duration(c["age_s"])),
        ),
        key=lambda c: str(c["pid"]),
    )
