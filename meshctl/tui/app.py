"""The app: takes what the feed brings, and does what the keys ask for."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from msgspec import Struct
from textual.app import App
from textual.message import Message

from meshctl.render import connection as render
from meshctl.render import event as render_event
from meshctl.render import when
from meshctl.render.columns import Item
from meshctl.render.lines import aligned
from meshctl.render.look import Look
from meshctl.render.safe import safe
from meshctl.tui.actions import BUS, SCREEN, bindings, help_lines, holds
from meshctl.tui.board import Board
from meshctl.tui.dialogs.confirm import Confirm
from meshctl.tui.dialogs.sheet import Sheet
from meshctl.tui.feed import Feed
from meshctl.tui.kinds import Kind
from meshctl.tui.messages import BusFacts, Facts, Lost, Said, Stands
from meshctl.tui.widgets.tail import Tail
from meshd.wire.calls import connection, event
from meshd.wire.calls.row import Call
from meshd.wire.connection import ConnectionRef
from meshd.wire.delivery import DeadChoice
from meshd.wire.errors import MeshError
from meshd.wire.event import EventRef

PAINT_SECONDS = 0.1
"""What arrives within this time is shown with one paint."""

CONNECTION_EVENTS = "mesh.connection."


def local_time() -> datetime:
    """Now, in the zone of this machine."""
    return datetime.now().astimezone()


class Dashboard(App[None]):
    """`meshctl tui`. `feed` makes the feed, given how messages are posted."""

    TITLE = "meshctl"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = bindings(SCREEN)

    def __init__(
        self,
        feed: Callable[[Callable[[Message], Any]], Feed],
        look: Look,
        now: Callable[[], datetime] = local_time,
    ) -> None:
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.set_class(look.ascii, "-ascii")
        self._base = look.at(None, colour=False)
        self._now = now
        self.feed = feed(self.post_message)
        self.board = Board(self.look)

    def look(self) -> Look:
        """What drawing depends on, now.

        Without colour: columns name their styles, and texts must bring no escapes of their own.
        """
        return self._base.at(self._now(), colour=False)

    def get_default_screen(self) -> Board:
        """The one screen."""
        return self.board

    def on_mount(self) -> None:
        """Ask once the empty screen is painted."""
        self.call_after_refresh(self.feed.start)

    def on_unmount(self) -> None:
        """Stop asking."""
        self.feed.stop()

    def on_facts(self, message: Facts) -> None:
        """How things stand."""
        self.board.know(message)

    def on_bus_facts(self, message: BusFacts) -> None:
        """How the bus stands."""
        self.board.know_bus(message)

    def on_arrived(self) -> None:
        """Gather what arrives for a moment: an inbox rings again once it was emptied."""
        self.set_timer(PAINT_SECONDS, self._gather)

    def on_stands(self, message: Stands) -> None:
        """A source answers."""
        self.board.stands(message.source)

    def on_lost(self, message: Lost) -> None:
        """A source does not answer."""
        self.board.lost(message)

    def on_said(self, message: Said) -> None:
        """A sentence of a thread."""
        self.board.say(safe(message.text))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Whether a key means anything in the view that is shown."""
        del parameters
        return holds(action, self.board.view)

    def action_turn(self) -> None:
        """Show the other view."""
        self.board.turn()
        self.feed.watch_bus(self.board.view == BUS)

    def action_move(self, lines: int) -> None:
        """Select another line."""
        self.board.panel.move(lines)

    def action_page(self, pages: int) -> None:
        """Select a line a page away."""
        self.board.panel.page(pages)

    def action_first(self) -> None:
        """Select the first line."""
        self.board.panel.first()

    def action_last(self) -> None:
        """Select the last line."""
        self.board.panel.last()

    def action_filter(self) -> None:
        """Type a filter."""
        self.board.ask_filter()

    def action_leave(self) -> None:
        """Leave the filter."""
        self.board.back()

    def action_refresh(self) -> None:
        """Ask the daemon now."""
        self.feed.refresh()

    def action_follow(self) -> None:
        """Follow or hold still: the panel that has the focus, or the calls."""
        panel = self.board.panel if isinstance(self.board.panel, Tail) else self.board.calls
        panel.follow(not panel.following)

    def action_help(self) -> None:
        """Show the keys."""
        self._open(Sheet("Keys", help_lines()))

    def action_copy(self) -> None:
        """Copy the id of what is selected."""
        item = self.board.panel.selected
        if item is not None:
            self._copy(item["id"])

    def action_command(self) -> None:
        """Show the commands for what is selected."""
        panel = self.board.panel
        if panel.selected is not None:
            commands = panel.kind.commands(panel.selected)
            self._open(Sheet("In a shell", list(map(safe, commands)), copies=commands[0]))

    def action_open(self) -> None:
        """Show what is selected as a card."""
        item, kind = self.board.panel.selected, self.board.panel.kind
        if item is None:
            return
        sheet = Sheet(_title(item), ["asking meshd"], copies=item["id"])
        self._open(sheet)
        self._do(self._fill(sheet, kind, item))

    def action_test(self) -> None:
        """Test the selected connection."""
        item = self.board.connections.selected
        if item is not None:
            self._do(self._test(item["name"]))

    def action_retry(self) -> None:
        """Try the selected dead letter again."""
        item = self.board.dead_letter
        if item is None:
            self.board.say("select a dead letter first")
        else:
            choice = DeadChoice(delivery=item["id"])
            self._do(self._repair(event.DEAD_RETRY, choice, f"trying {item['id']} again"))

    def action_drop(self) -> None:
        """Drop the selected dead letter once that is confirmed."""
        item = self.board.dead_letter
        if item is None:
            self.board.say("select a dead letter first")
        else:
            choice = DeadChoice(delivery=item["id"])
            self._confirm(
                f"drop {item['id']}?",
                f"{item['subscription']} does not get this event any more.",
                lambda: self._repair(event.DEAD_DROP, choice, f"dropping {item['id']}"),
            )

    def action_replay(self) -> None:
        """Deliver the selected event again once that is confirmed."""
        name = self.board.chosen_event
        if name is None:
            self.board.say("select an event or a delivery first")
        else:
            self._confirm(
                f"deliver {name} again?",
                "Every subscription that it went to gets it once more.",
                lambda: self._repair(event.REPLAY, EventRef(name), f"replaying {name}"),
            )

    def action_switch(self) -> None:
        """Enable the selected connection; disable it once that is confirmed."""
        item = self.board.connections.selected
        if item is None:
            return
        name = item["name"]
        if item["state"] == "disabled":
            self._do(self._change(connection.ENABLE, name, f"enabling {name}"))
            return

        self._confirm(
            f"disable {name}?",
            "Its clients get errors until it is enabled again.",
            lambda: self._change(connection.DISABLE, name, f"disabling {name}"),
        )

    def _gather(self) -> None:
        """Show everything that arrived since the last paint."""
        happened = self.feed.events.take()
        self.board.arrived(self.feed.calls.take(), happened)
        if any(item["type"].startswith(CONNECTION_EVENTS) for item in happened):
            self.feed.refresh()

    def _open(self, sheet: Sheet) -> None:
        self.push_screen(sheet, lambda text: self._copy(text) if text else None)

    def _copy(self, text: str) -> None:
        self.copy_to_clipboard(text)
        self.board.say(f"copied {safe(text)}")

    def _confirm(
        self, question: str, consequence: str, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Do it if the answer is yes."""

        def decide(sure: bool | None) -> None:
            if sure:
                self._do(work())

        self.push_screen(Confirm(safe(question), safe(consequence)), decide)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it go on beside the screen; its error is a sentence."""

        async def guarded() -> None:
            try:
                await work
            except MeshError as error:
                hint = f"  next: {error.next}" if error.next else ""
                self.board.say(safe(f"{self.look().mark('bad')} {error.message}{hint}"))

        self.run_worker(guarded())

    async def _fill(self, sheet: Sheet, kind: Kind, item: Item) -> None:
        try:
            known = item if kind.detail is None else await self.feed.ask(*kind.detail(item))
            card = aligned(kind.card(known, self.look()))
        except MeshError as error:
            card = [safe(error.message), *([f"next: {safe(error.next)}"] if error.next else [])]
        if sheet.is_attached:
            sheet.show(card)

    async def _test(self, name: str) -> None:
        self.board.say(f"testing {safe(name)}{self.look().ellipsis}")
        answer = await self.feed.ask(connection.TEST, ConnectionRef(name))
        self._told(answer["connection"], f"answered in {when.millis(answer['duration_ms'])}")

    async def _change(self, row: Call, name: str, doing: str) -> None:
        self.board.say(safe(doing) + self.look().ellipsis)
        self._told(await self.feed.ask(row, ConnectionRef(name)))

    async def _repair(self, row: Call, asks: Struct, doing: str) -> None:
        self.board.say(safe(doing) + self.look().ellipsis)
        changed = await self.feed.ask(row, asks)
        self.board.say(safe(f"{doing}: {render_event.counted(len(changed['deliveries']))}"))
        self.feed.refresh()

    def _told(self, item: Item, *more: str) -> None:
        """What a connection is like after something was done with it."""
        about = [safe(item["name"]), render.state(item, self.look()), render.tools(item), *more]
        self.board.say("  ".join(about))
        self.feed.refresh()


def _title(item: Item) -> str:
    return safe(str(item.get("name") or item["id"]))
