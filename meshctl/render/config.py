"""Settings as columns."""

from meshctl.render.columns import Column, Item, Table


def listed() -> Table:
    """Each setting with its value and where that was said."""
    return Table(
        (
            Column("NAME", lambda s: str(s["name"])),
            Column("VALUE", value, flex=True),
            Column("SOURCE", lambda s: str(s["source"])),
        ),
        key=lambda s: str(s["name"]),
    )


def value(setting: Item) -> str:
    """The value in force; in brackets what holds where nothing is set."""
    if setting["value"]:
        return str(setting["value"])
    return f"({setting['default']})" if setting["default"] else "-"


def stated(setting: Item) -> str:
    """The value, or what holds where nothing is set, and where that was said."""
    return f"{setting['value'] or setting['default'] or '-'} ({setting['source']})"
