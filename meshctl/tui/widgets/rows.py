"""A panel of things, a line each: one is selected, a filter may narrow them.

Only the lines in sight are worked out, so a panel costs the same whatever it holds.
"""

from collections.abc import Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from meshctl.render.columns import Item
from meshctl.render.lines import GAP, width
from meshctl.render.look import Look
from meshctl.tui.fit import cut, fit
from meshctl.tui.kinds import Kind

WHEEL_LINES = 3

_CORNERS = 4
"""Cells of an edge that Textual keeps from its text."""


class Rows(Widget, can_focus=True):
    """The things of one kind. Until `replace` is called it says that it waits."""

    class Selected(Message):
        """Another line is selected."""

    def __init__(self, kind: Kind, look: Look) -> None:
        super().__init__(id=kind.name, classes="panel")
        self.kind = kind
        self.filter = ""
        self._look = look
        self._table = kind.table(look)
        self._items: list[Item] | None = None
        self._shown: list[Item] = []
        self._cursor = 0
        self._top = 0
        self._widths: list[int] = []
        self._caption: str | None = None

    @property
    def selected(self) -> Item | None:
        """The thing under the cursor."""
        return self._shown[self._cursor] if self._shown else None

    @property
    def items(self) -> Sequence[Item]:
        """All things, whatever the filter."""
        return self._items or []

    @property
    def edge(self) -> int:
        """Cells for text on the upper or the lower edge."""
        return max(0, self.size.width - _CORNERS)

    def replace(self, items: Sequence[Item]) -> None:
        """Show these instead; the same thing stays selected if it is among them."""
        before = self.selected
        self._items = list(items)
        self._widths = []
        self._choose(before)

    def narrow(self, text: str) -> None:
        """Show only lines that hold `text` in any column, whatever its case."""
        before = self.selected
        self.filter = text
        self._widths = []
        self._choose(before)

    def move(self, lines: int) -> None:
        """Select another line, so many further down."""
        self._cursor += lines
        self._settle()
        self.post_message(self.Selected())

    def page(self, pages: int) -> None:
        """Select another line, so many pages further down."""
        self.move(pages * max(1, self._height - 1))

    def first(self) -> None:
        """Select the first line."""
        self.move(-len(self._shown))

    def last(self) -> None:
        """Select the last line."""
        self.move(len(self._shown))

    def look_again(self, look: Look) -> None:
        """Draw with another look: ages have grown."""
        self._look = look
        self._table = self.kind.table(look)
        self._measure()
        self.refresh()

    def caption(self, text: str) -> None:
        """What stands beside the title."""
        self._caption = text
        self._entitle()

    def render_line(self, y: int) -> Strip:
        """One line of the panel."""
        room = self.size.width
        if not self._shown:
            lines = self._nothing()
            text = f"  {lines[y]}" if y < len(lines) else ""
            return self._strip([Segment(text, self.rich_style + _style("dim"))])
        if self.kind.titled and y == 0:
            titles = [column.title for column in self._table.columns]
            return self._cells(titles, [""] * len(titles), "  ", self.rich_style + _style("bold"))
        index = self._top + y - self.kind.titled
        if index >= len(self._shown):
            return Strip.blank(room, self.rich_style)
        return self._row(index)

    def on_resize(self) -> None:
        """Keep the selected line in sight."""
        self._widths = []
        self._settle()

    def on_click(self, event: events.Click) -> None:
        """Select the line under the mouse."""
        place = event.get_content_offset(self)
        if place is not None and self._shown:
            self.move(self._top + place.y - self.kind.titled - self._cursor)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go down."""
        event.stop()
        self.move(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go up."""
        event.stop()
        self.move(-WHEEL_LINES)

    @property
    def _height(self) -> int:
        """Things in sight at a time."""
        return max(0, self.size.height - self.kind.titled)

    def _matches(self, item: Item) -> bool:
        return self.filter.casefold() in " ".join(self._table.cells(item)).casefold()

    def _choose(self, wanted: Item | None) -> None:
        """Work out what is shown, and put the cursor back on the thing it was on."""
        items = self._items or []
        self._shown = [item for item in items if self._matches(item)] if self.filter else items
        if wanted is not None:
            places = (i for i, item in enumerate(self._shown) if item["id"] == wanted["id"])
            self._cursor = next(places, self._cursor)
        self._settle()

    def _settle(self) -> None:
        """Bring cursor and scrolling into their bounds, measure what is in sight, repaint."""
        last = max(0, len(self._shown) - 1)
        self._cursor = min(max(0, self._cursor), last)
        lowest = self._cursor - self._height + 1
        self._top = max(0, min(max(self._top, lowest), self._cursor, last - self._height + 1))
        self._measure()
        self._entitle()
        self.refresh()

    def _measure(self) -> None:
        # Widths only grow while lines move past, so that the columns stand still.
        rows = [self._table.cells(i) for i in self._shown[self._top : self._top + self._height]]
        titles = [column.title for column in self._table.columns]
        before = self._widths or [0] * len(titles)
        lists = zip(before, titles, *rows, strict=True)
        self._widths = [max(old, *map(width, texts)) for old, *texts in lists]

    def _entitle(self) -> None:
        parts = [self.kind.title, self.filter and f"filter: {self.filter}", self._caption]
        text = (" - " if self._look.ascii else " ─ ").join(part for part in parts if part)
        room = min(self.edge, width(text))
        self.border_title = Content(cut(text, room, self._look.ellipsis))

    def _nothing(self) -> tuple[str, ...]:
        if self._items is None:
            return ("asking meshd" + self._look.ellipsis,)
        if self._items:
            return (f'nothing holds "{self.filter}"', "esc shows all")
        return self.kind.empty

    def _row(self, index: int) -> Strip:
        item = self._shown[index]
        cells = self._table.cells(item)
        columns = self._table.columns
        if index != self._cursor:
            styles = [column.style(item) if column.style else "" for column in columns]
            return self._cells(cells, styles, "  ", self.rich_style)
        mark = "> " if self._look.ascii else "▸ "
        base = self.rich_style + _style("reverse" if self.has_focus else "bold")
        return self._cells(cells, [""] * len(cells), mark, base)

    def _cells(self, cells: list[str], styles: list[str], mark: str, base: Style) -> Strip:
        columns = self._table.columns
        flex = next((i for i, column in enumerate(columns) if column.flex), None)
        widths = fit(self._widths, flex, max(0, self.size.width - len(mark)), len(GAP))
        segments = [Segment(mark, base)]
        for column, text, style, size in zip(columns, cells, styles, widths, strict=True):
            if size:
                right = column.align == "right"
                shown = cut(text, size, self._look.ellipsis, right=right)
                segments += [Segment(shown, base + _style(style)), Segment(GAP, base)]
        return self._strip(segments, base)

    def _strip(self, segments: list[Segment], base: Style | None = None) -> Strip:
        return Strip(segments).adjust_cell_length(self.size.width, base or self.rich_style)


@lru_cache(16)
def _style(word: str) -> Style:
    """The style of a word of `Column.style`."""
    return Style.parse(word)
