"""A dialog that shows lines: details, commands, the keys."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from meshctl.tui.actions import SHEET, bindings


class Sheet(ModalScreen[str | None]):
    """Gives what is to be copied, or nothing. Lines are shown as they are, never as markup."""

    BINDINGS = bindings(SHEET)

    def __init__(self, title: str, lines: Sequence[str], *, copies: str | None = None) -> None:
        super().__init__()
        self._title = title
        self._body = Static(id="lines")
        self._copies = copies
        self.show(lines)

    def compose(self) -> ComposeResult:
        """A frame with the lines in it, which scrolls."""
        with VerticalScroll(id="frame") as frame:
            yield self._body
        frame.border_title = Content(self._title)
        frame.border_subtitle = Content("esc back" + ("  y copy" if self._copies else ""))

    def show(self, lines: Sequence[str]) -> None:
        """Other lines."""
        self._body.update(Content("\n".join(lines)))

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """Close, and copy."""
        self.dismiss(self._copies)
