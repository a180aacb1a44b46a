"""A dialog that asks before something is done."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from meshctl.tui.actions import CONFIRM, bindings


class Confirm(ModalScreen[bool]):
    """Gives the answer. Enter agrees to nothing: what is asked has consequences."""

    BINDINGS = bindings(CONFIRM)

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence

    def compose(self) -> ComposeResult:
        """The question with its keys."""
        with Vertical(id="frame") as frame:
            yield Static(Content(self._consequence), id="lines")
        frame.border_title = Content(self._question)
        frame.border_subtitle = Content("y yes  n no")

    def action_yes(self) -> None:
        """Agree."""
        self.dismiss(True)

    def action_no(self) -> None:
        """Decline."""
        self.dismiss(False)
