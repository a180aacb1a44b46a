"""The inside of the daemon: its card."""

from meshctl.render import config, when
from meshctl.render.columns import Item, Pairs
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
        ("children", when.plural(sum(bool(c["pid"]) for c in item["children"]), "stdio server")),
        ("sessions", f"{item['sessions_ended']} ended"),
        ("records", f"{item['records_written']} written, {item['records_dropped']} dropped"),
        *((setting["name"], config.stated(setting)) for setting in item["settings"]),
    ]
