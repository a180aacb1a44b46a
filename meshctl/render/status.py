"""`meshctl status`: how things stand, on half a screen."""

from __future__ import annotations

from meshctl.render import when
from meshctl.render.lines import aligned
from meshctl.render.safe import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from meshctl.render.look import Look

_ORDER = ("ready", "failing", "needs_login", "disabled", "unknown")


def lines(status: Mapping[str, Any], look: Look) -> list[str]:
    """The daemon's line, a fact a line, then every problem with the command that helps."""
    return [
        _daemon(status["daemon"], look),
        *aligned(
            [
                ("org", status["org"]["name"]),
                ("gateway", f"{status['url']}/mcp"),
                ("connections", connections(status["connections"])),
                ("calls", f"{status['calls_today']} today"),
            ]
        ),
        *(line for problem in status.get("problems", []) for line in _problem(problem, look)),
    ]


def connections(counts: Mapping[str, int]) -> str:
    """`5 ready, 1 failing`; `none` when there are none."""
    words = [f"{counts[name]} {name.replace('_', ' ')}" for name in _ORDER if counts.get(name)]
    return ", ".join(words) or "none"


def _daemon(daemon: Mapping[str, Any], look: Look) -> str:
    good = daemon["state"] == "running"
    word = f"{look.mark('good' if good else 'bad')} {daemon['state']}"
    return "  ".join(
        [
            f"meshd {safe(daemon['version'])}",
            look.paint(word, "green" if good else "red"),
            f"up {when.duration(daemon['uptime_s'])}",
            f"pid {daemon['pid']}",
            safe(daemon["socket"]),
        ]
    )


def _problem(problem: Mapping[str, str], look: Look) -> list[str]:
    mark = look.paint(look.mark("bad"), "red")
    return [f"{mark} {safe(problem['message'])}", f"next: {safe(problem['next'])}"]
