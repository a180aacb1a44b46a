"""A panel whose newest line is at the bottom."""

from collections import deque
from collections.abc import Sequence

from meshctl.render.columns import Item
from meshctl.render.look import Look
from meshctl.tui.kinds import Kind
from meshctl.tui.widgets.rows import Rows

LINES = 500
"""Things that are kept to look back at."""


class Tail(Rows):
    """Follows what arrives, or holds still while somebody reads; it counts what came meanwhile."""

    def __init__(self, kind: Kind, look: Look) -> None:
        super().__init__(kind, look)
        self._all: deque[Item] = deque(maxlen=LINES)
        self._unseen = 0
        self.following = True
        self._say()

    def append(self, items: Sequence[Item]) -> None:
        """Add what arrived, oldest first."""
        self._all.extend(items)
        if self.following:
            self._show()
        else:
            self._unseen += len(items)
            self._say()

    def follow(self, on: bool) -> None:
        """Go on with the newest lines, or hold still."""
        self.following = on
        if on:
            self._unseen = 0
            self._show()
        self._say()

    def move(self, lines: int) -> None:
        """As of any panel; going up holds it still."""
        if lines < 0 and self.following:
            self.follow(False)
        super().move(lines)

    def last(self) -> None:
        """The newest line, which is followed from there."""
        self.follow(True)

    def narrow(self, text: str) -> None:
        """As of any panel; while following the newest stays selected."""
        super().narrow(text)
        if self.following:
            self._show()

    def _show(self) -> None:
        widths = self._widths
        self.replace(list(self._all))
        self._widths = widths
        self._cursor = len(self._shown) - 1
        self._settle()

    def _say(self) -> None:
        held = f"still, {self._unseen} more" if self._unseen else "still"
        self.caption("following" if self.following else held)
