"""The screen's single lines: header, banner, problem, numbers, footer. Pure, from data to text.

Every foreign word goes through `safe`, and into `Content` as it is: nothing is read as markup.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from textual.content import Content

from meshctl.render import connection, when
from meshctl.render.lines import GAP
from meshctl.render.look import Look
from meshctl.render.safe import safe
from meshctl.tui import actions
from meshctl.tui.numbers import Numbers, sparkline
from meshd.wire.errors import MeshError

Item = Mapping[str, Any]


def header(
    status: Item | None, uptime_s: float, look: Look, width: int, *, lost: bool = False
) -> Content:
    """Product, org, the daemon, its URL, the time. What does not fit is left out, URL first."""
    name = Content.styled(" meshctl", "bold")
    if status is None:
        words = {"state": _state("bad" if lost else "open", "meshd", look)}
    else:
        name += Content(GAP + safe(status["org"]["name"]))
        words = {
            "state": _daemon(status["daemon"], look, lost=lost),
            "up": Content(f"up {when.duration(uptime_s)}"),
            "url": Content(safe(status["url"])),
        }
    words["clock"] = Content(f"{look.now:%H:%M:%S} ")
    if lost:
        words.pop("up", None)  # nobody knows
    for dropped in ("", "url", "up", "clock", "state"):
        words.pop(dropped, None)
        right = Content(GAP).join(words.values())
        room = width - name.cell_length - right.cell_length
        if room >= len(GAP):
            return name + Content(" " * room) + right
    return name


def banner(error: MeshError, seconds: float, look: Look) -> Content:
    """What is wrong with the daemon, and when it is asked again."""
    left = max(0, math.ceil(seconds))
    retry = f"again in {left}s, r asks now" if left else "asking again"
    hint = f"{GAP}next: {safe(error.next)}" if error.next else ""
    return Content(f" {look.mark('off')} {safe(error.message)}; {retry}{hint}")


def problem(
    connections: Sequence[Item], selected: Item | None, status: Item | None, look: Look, width: int
) -> Content:
    """What needs somebody, and what to press: the selected connection's trouble comes first."""
    troubled = [c for c in connections if c["state"] in {"failing", "needs_login"}]
    if not troubled:
        others = (status or {}).get("problems", [])
        if not others:
            return Content()
        return _bad(safe(others[0]["message"]), f"next: {safe(others[0]['next'])}", look, width)
    named = [c for c in troubled if selected is not None and c["id"] == selected["id"]]
    item = (named or troubled)[0]
    key = "t tests it" if item["state"] == "failing" else "c shows the command"
    word = connection.state(item, look).partition(" ")[2]
    more = f" (and {len(troubled) - 1} more)" if len(troubled) > 1 else ""
    reason = f": {safe(item['reason'])}" if item.get("reason") else ""
    what = f"{safe(item['name'])} {word}{more}{reason}"
    return _bad(what, key if named else f"select it, {key}", look, width)


def dead_letters(count: int, selected: Item | None, look: Look, width: int) -> Content:
    """What the bus gave up, and what to press: why the selected one failed."""
    if not count:
        return Content()
    what = f"{count} dead " + ("letter" if count == 1 else "letters")
    if selected is None:
        return _bad(what, "select one, a tries it again", look, width)
    reason = f": {safe(selected['error'])}" if selected.get("error") else ""
    return _bad(what + reason, "a tries it again", look, width)


def numbers(found: Numbers, look: Look, width: int) -> str:
    """One line, for where the column beside the connections has no room; whole parts of it."""
    p95 = dict(_counts(found))["p95"]
    parts = [f"{found.calls} calls", f"{found.failed} failed", f"p95 {p95}", _bars(found, look)]
    while parts and len(GAP.join(parts)) > width:
        parts.pop()
    return GAP.join(parts)


def column(found: Numbers, today: int | None, look: Look) -> Content:
    """The same, a fact a line, with the calls of the day."""
    pairs = [*_counts(found), ("today", "-" if today is None else str(today))]
    lines = [Content(f"{label:<8}{word:>9}") for label, word in pairs]
    return Content("\n").join([*lines, Content(_bars(found, look))])


def footer(width: int, view: str) -> Content:
    """The keys of a view, as many as fit."""
    shown = actions.footer(width - 1 + len(GAP), view)
    keys = [Content.assemble((key, "bold"), f" {word}") for key, word in shown]
    return Content(" ") + Content(GAP).join(keys)


def cut(line: Content, width: int, look: Look) -> Content:
    """`line` in at most `width` cells."""
    if line.cell_length <= width:
        return line
    return line.truncate(max(0, width - len(look.ellipsis))) + Content(look.ellipsis)


def _counts(found: Numbers) -> list[tuple[str, str]]:
    p95 = "-" if found.p95 is None else when.millis(found.p95)
    return [("calls", str(found.calls)), ("failed", str(found.failed)), ("p95", p95)]


def _bars(found: Numbers, look: Look) -> str:
    return sparkline(found.bars, plain=look.ascii)


def _daemon(daemon: Item, look: Look, *, lost: bool) -> Content:
    about = f"meshd {safe(daemon['version'])}"
    if lost:
        return _state("off", f"{about} lost", look)
    if daemon["state"] == "running":
        return _state("good", about, look)
    return _state("bad", f"{about} {safe(daemon['state'])}", look)


def _state(mark: Any, words: str, look: Look) -> Content:
    colour = {"good": "ansi_green", "bad": "ansi_red"}.get(mark, "dim")
    return Content.assemble((f"{look.mark(mark)} ", colour), words)


def _bad(what: str, then: str, look: Look, width: int) -> Content:
    """A problem and the way out; where there is little room it is the problem that is cut."""
    mark = Content.assemble((f" {look.mark('bad')} ", "ansi_red"))
    room = width - mark.cell_length - len(GAP) - len(then) - 1
    line = (
        mark + cut(Content(what), max(room, width // 3), look) + GAP + Content.styled(then, "bold")
    )
    return cut(line, width, look)
