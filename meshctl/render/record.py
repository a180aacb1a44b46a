"""Call records: their table, the line of a tail, the card with its stages and bodies."""

import json
from collections.abc import Mapping
from typing import Any

from meshctl.render import when
from meshctl.render.columns import Column, Item, Pairs, Table
from meshctl.render.lines import GAP
from meshctl.render.look import Look
from meshctl.render.safe import safe

_ERROR = 160
"""Characters of an error that a line shows; `call show` shows it whole."""

STAGES = ("receive", "decide", "upstream", "answer")
"""In the order in which a call meets them."""


def table(look: Look) -> Table:
    """`call list`."""
    return Table(
        (
            Column("AT", lambda r: when.clock(r["at"], look.now)),
            Column("CONNECTION", lambda r: str(r["connection"])),
            Column("TOOL", lambda r: str(r["tool"])),
            Column("CALLER", lambda r: str(r["principal"])),
            Column("RESULT", lambda r: _result(r, look), style=_style),
            Column("TOOK", lambda r: when.millis(r["duration_ms"]), align="right"),
            Column("ID", lambda r: str(r["id"])),
            Column("ERROR", lambda r: r.get("error") or "", flex=True),
        )
    )


def line(item: Item, look: Look) -> str:
    """One call of a tail, in columns that hold for usual names."""
    cells = [
        when.clock(item["at"], look.now),
        f"{safe(item['connection']):<14}",
        f"{safe(item['tool']):<24}",
        f"{safe(item['principal']):<14}",
        look.paint(f"{_result(item, look):<8}", _style(item)),
        f"{when.millis(item['duration_ms']):>7}",
        safe(item["id"]),
        look.cut(safe(item.get("error") or ""), _ERROR),
    ]
    return GAP.join(cells).rstrip()


def card(item: Item, look: Look) -> Pairs:
    """`call show`: stages in milliseconds; bodies as far as the connection keeps them."""
    pairs = [
        ("id", item["id"]),
        ("at", when.stamp(item["at"], look.now)),
        ("connection", item["connection"]),
        ("tool", item["tool"]),
        ("caller", item["principal"]),
        ("client", item.get("client")),
        ("result", _result(item, look)),
        ("error", item.get("error")),
        ("took", when.millis(item["duration_ms"])),
        ("stages", "\n".join(stages(item["stages"]))),
        ("arguments", _body(item, "arguments")),
        ("answer", _body(item, "result")),
        ("note", "bodies were cut" if item.get("cut") else None),
    ]
    return [(label, value) for label, value in pairs if value]


def stages(times: Mapping[str, float]) -> list[str]:
    """Where a call's time went: a line per stage."""
    shown = {stage: when.millis(times[stage]) for stage in STAGES}
    size = max(map(len, shown.values()))
    return [f"{stage:<9} {text:>{size}}" for stage, text in shown.items()]


def _body(item: Mapping[str, Any], field: str) -> str | None:
    body = item.get(field)
    return None if body is None else json.dumps(body, indent=2, ensure_ascii=False)


def _result(item: Item, look: Look) -> str:
    return f"{look.mark('good')} ok" if item["ok"] else f"{look.mark('bad')} failed"


def _style(item: Item) -> str:
    return "green" if item["ok"] else "red"
