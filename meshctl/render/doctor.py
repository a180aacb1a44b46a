"""`meshctl doctor`: one line a check, and what to do about the ones that are not well."""

from collections.abc import Iterable, Mapping
from typing import Any

from meshctl.render.look import Look, Mark
from meshctl.render.safe import safe

_STATES: Mapping[str, tuple[Mark, str]] = {
    "pass": ("good", "green"),
    "weak": ("open", "yellow"),
    "fail": ("bad", "red"),
}


def lines(checks: Iterable[Mapping[str, Any]], look: Look) -> list[str]:
    """`checks` have `check`, `state` (`pass`, `weak`, `fail`), `note`, and perhaps `next`."""
    shown = []
    for check in checks:
        mark, style = _STATES[check["state"]]
        word = look.paint(f"{look.mark(mark)} {check['state']:<4}", style)
        shown.append(f"{word}  {safe(check['check']):<12}  {safe(check['note'])}".rstrip())
        if check.get("next"):
            shown.append(f"next: {safe(check['next'])}")
    return shown
