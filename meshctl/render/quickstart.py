"""What `meshctl quickstart` shows: a client's short visit, and what was recorded of it."""

from collections.abc import Mapping
from typing import Any

from meshctl.render import record, tool, when
from meshctl.render.columns import Pairs


def card(visit: Mapping[str, Any]) -> Pairs:
    """`visit` has `url`, `tools` (names), `asked`, `result` (MCP), and `record` (with stages)."""
    return [
        ("endpoint", visit["url"]),
        ("tools", ", ".join(visit["tools"])),
        ("called", visit["asked"]),
        ("answer", "\n".join(tool.content(visit["result"]))),
        ("record", visit["record"]["id"]),
        ("took", when.millis(visit["record"]["duration_ms"])),
        ("stages", "\n".join(record.stages(visit["record"]["stages"]))),
    ]
