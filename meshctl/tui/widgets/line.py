"""One line of the screen."""

from collections.abc import Callable

from textual.content import Content
from textual.widget import Widget


class Line(Widget):
    """Draws itself for the width it has, each time it is refreshed."""

    def __init__(self, draw: Callable[[int], Content], *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._draw = draw

    def render(self) -> Content:
        """The line."""
        return self._draw(self.size.width)
