"""Events: the line of a tail."""

from __future__ import annotations

import json

from meshctl.render import when
from meshctl.render.lines import GAP
from meshctl.render.safe import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from meshctl.render.columns import Item
    from meshctl.render.look import Look

_DATA = 160
"""Characters of the data that a line shows; `--json` shows it whole."""


def line(item: Item, look: Look) -> str:
    """One event: when, what, about what, and the beginning of its data."""
    about = item.get("subject") or item["source"]
    data = item.get("data")
    cells = [
        when.clock(item["time"], look.now),
        f"{safe(str(item['type'])):<24}",
        f"{safe(str(about)):<22}",
        "" if data is None else look.cut(safe(json.dumps(data, ensure_ascii=False)), _DATA),
    ]
    return GAP.join(cells).rstrip()
