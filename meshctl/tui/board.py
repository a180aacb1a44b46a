"""The main screen: what is known, and where it is drawn. It asks nobody; the app feeds it."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from meshctl.render.event import standing, tally
from meshctl.render.look import Look
from meshctl.render.status import connections as count
from meshctl.render.when import instant
from meshctl.tui import lines
from meshctl.tui.actions import BUS, MAIN
from meshctl.tui.kinds import CALLS, CONNECTIONS, DEAD, DELIVERIES, EVENTS, SUBSCRIPTIONS
from meshctl.tui.messages import BusFacts, Facts, Lost
from meshctl.tui.numbers import Window
from meshctl.tui.widgets.line import Line
from meshctl.tui.widgets.rows import Rows
from meshctl.tui.widgets.tail import Tail

Item = Mapping[str, Any]

SAID_SECONDS = 6.0
"""How long a sentence stands in the place of the problem."""


class Board(Screen[None]):
    """Header, connections beside the numbers, calls, events, problem, keys.

    In the other view dead letters beside the subscriptions, and deliveries, stand above the events.
    """

    # Classes by size; app.tcss says what each of them hides.
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (60, "-narrow"), (80, "-wide")]  # noqa: RUF012 - Textual's
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-short"), (24, "-tall")]  # noqa: RUF012 - Textual's

    def __init__(self, look: Callable[[], Look]) -> None:
        super().__init__()
        self._look = look
        self._status: Item | None = None
        self._status_at = 0.0
        self._lost: dict[str, Lost] = {}
        self._window = Window()
        self._said = ("", 0.0)
        self._dead = 0
        self.view = MAIN

    def compose(self) -> ComposeResult:
        """Everything, before anything is known."""
        look = self._look()
        self.connections = Rows(CONNECTIONS, look)
        self.calls = Tail(CALLS, look)
        self.events = Tail(EVENTS, look)
        self.dead = Rows(DEAD, look)
        self.deliveries = Rows(DELIVERIES, look)
        self.subscriptions = Rows(SUBSCRIPTIONS, look)
        self._panel: Rows = self.connections
        self._numbers = Static(id="numbers", classes="panel")
        self._filter = Input(id="filter", compact=True)
        yield Line(self._draw_header, id="header")
        yield Line(self._draw_banner, id="banner")
        with Horizontal(id="top"):
            yield self.connections
            yield self._numbers
        yield self.calls
        with Horizontal(id="bus"):
            yield self.dead
            yield self.subscriptions
        yield self.deliveries
        yield self.events
        yield Line(self._draw_problem, id="problem")
        yield self._filter
        yield Line(lambda width: lines.footer(width, self.view), id="keys")

    @property
    def panel(self) -> Rows:
        """The panel that keys act on: the one that has the focus, or had it last."""
        if isinstance(self.focused, Rows):
            self._panel = self.focused
        return self._panel

    @property
    def dead_letter(self) -> Item | None:
        """The dead delivery that keys act on: the selected one of the panel."""
        item = self.panel.selected if self.panel in {self.dead, self.deliveries} else None
        return item if item is not None and item["state"] == "dead" else None

    @property
    def chosen_event(self) -> str | None:
        """The event that keys act on: what is selected, or what it is about."""
        item, name = self.panel.selected, self.panel.kind.event
        return None if item is None or name is None else name(item)

    def turn(self) -> None:
        """Show the other view."""
        self.view = BUS if self.view == MAIN else MAIN
        self.set_class(self.view == BUS, "-bus")
        self._panel = self.dead if self.view == BUS else self.connections
        # What is hidden takes no focus, and it is shown with the next paint.
        self.call_after_refresh(self._panel.focus)
        self._repaint("#problem", "#keys")

    def on_mount(self) -> None:
        """Begin with the connections; the clock goes on by itself."""
        self._numbers.border_title = Content("Last 5 minutes")
        self.connections.focus()
        self.set_interval(1.0, self.tick)

    def tick(self) -> None:
        """Draw what changes with time alone."""
        for panel in self.query(Rows):
            panel.look_again(self._look())
        self._draw_numbers()
        self._repaint("#header", "#banner", "#problem")

    def know(self, facts: Facts) -> None:
        """Show how things stand."""
        self._status = facts.status
        self._status_at = monotonic()
        self.connections.replace(facts.connections)
        self.connections.caption(count(facts.status["connections"]))
        self._draw_numbers()
        self._repaint("#header", "#problem")

    def know_bus(self, facts: BusFacts) -> None:
        """Show how the bus stands."""
        self._dead = facts.stats["states"]["dead"]
        self.dead.replace(facts.dead)
        self.dead.caption(str(self._dead))
        self.deliveries.replace(facts.deliveries)
        self.deliveries.caption(standing(facts.stats))
        self.subscriptions.replace(facts.subscriptions)
        self.subscriptions.border_subtitle = Content(tally(facts.stats["subscriptions"]))
        self._repaint("#problem")

    def arrived(self, calls: Sequence[Item], happened: Sequence[Item]) -> None:
        """Show calls and events that came in, oldest first."""
        for item in calls:
            at = instant(item["at"]).timestamp()
            self._window.add(at, item["duration_ms"], ok=item["ok"])
        if calls:
            self.calls.append(calls)
            self._draw_numbers()
        if happened:
            self.events.append(happened)

    def stands(self, source: str) -> None:
        """A source answers: an empty panel is known to be empty."""
        self._lost.pop(source, None)
        for panel in (self.calls, self.events):
            if panel.kind.name == source:
                panel.append([])
        self._mark_lost()

    def lost(self, message: Lost) -> None:
        """A source does not answer; what is shown stays."""
        self._lost[message.source] = message
        self._mark_lost()

    def say(self, text: str) -> None:
        """A sentence for a moment."""
        self._said = (text, monotonic() + SAID_SECONDS)
        self._repaint("#problem")

    def ask_filter(self) -> None:
        """Let a filter be typed for the panel that has the focus."""
        panel = self.panel
        self.add_class("-filtering")
        self._filter.placeholder = f"{panel.kind.title.lower()} that hold this; esc shows all"
        self._filter.value = panel.filter
        self._filter.focus()

    def back(self) -> None:
        """Leave the filter, and show all lines again."""
        self.panel.narrow("")
        self._end_filter()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow while it is typed."""
        if self.has_class("-filtering"):
            self.panel.narrow(event.value)

    def on_input_submitted(self) -> None:
        """Keep the filter."""
        self._end_filter()

    def on_rows_selected(self) -> None:
        """What to press depends on what is selected."""
        self._repaint("#problem")

    def on_descendant_focus(self) -> None:
        """And on the panel."""
        self._repaint("#problem")

    def on_resize(self) -> None:
        """The numbers move between their column and the edge of the calls."""
        self.call_after_refresh(self._draw_numbers)

    def _end_filter(self) -> None:
        self.remove_class("-filtering")
        self.panel.focus()

    def _mark_lost(self) -> None:
        self.set_class(bool(self._lost), "-lost")
        self._repaint("#header", "#banner")

    def _repaint(self, *selectors: str) -> None:
        for selector in selectors:
            self.query_one(selector).refresh()

    def _draw_header(self, width: int) -> Content:
        uptime = 0.0
        if self._status is not None:
            uptime = self._status["daemon"]["uptime_s"] + monotonic() - self._status_at
        return lines.header(self._status, uptime, self._look(), width, lost=bool(self._lost))

    def _draw_banner(self, width: int) -> Content:
        if not self._lost:
            return Content()
        first = min(self._lost.values(), key=lambda lost: lost.retry_at)
        look = self._look()
        return lines.cut(lines.banner(first.error, first.retry_at - monotonic(), look), width, look)

    def _draw_problem(self, width: int) -> Content:
        look = self._look()
        text, until = self._said
        if text and monotonic() < until:
            return lines.cut(Content(f" {text}"), width, look)
        if self.view == BUS:
            return lines.dead_letters(self._dead, self.dead_letter, look, width)
        connections = self.connections
        return lines.problem(connections.items, connections.selected, self._status, look, width)

    def _draw_numbers(self) -> None:
        look = self._look()
        found = self._window.numbers(look.now.timestamp())
        today = None if self._status is None else self._status["calls_today"]
        self._numbers.update(lines.column(found, today, look), layout=False)
        width = 0 if self._numbers.display else self.calls.edge
        self.calls.border_subtitle = Content(lines.numbers(found, look, width))
