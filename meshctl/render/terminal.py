"""A table on a terminal: the same columns, with colour, fitted to the width."""

from collections.abc import Sequence
from io import StringIO

from meshctl.render.columns import Column, Item, Table
from meshctl.render.lines import GAP, width
from meshctl.render.look import Look


def draw(table: Table, items: Sequence[Item], look: Look, room: int) -> list[str]:
    """Lines of at most `room` columns where cutting the `flex` column is enough for that.

    Nothing else is ever cut: on a terminal that is too narrow for it lines wrap.
    """
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=None, pad_edge=False, padding=(0, len(GAP), 0, 0), header_style="bold")
    grid.expand = any(column.flex for column in table.columns)
    for column in table.columns:
        grid.add_column(
            column.title,
            justify=column.align,
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column.flex else None,
        )
    for item in items:
        cells = zip(table.columns, table.cells(item), strict=True)
        grid.add_row(*(Text(text, _style(column, item)) for column, text in cells))
    console = Console(
        file=StringIO(),
        width=max(room, _least(table, items)),
        force_terminal=look.colour,
        no_color=not look.colour,
        color_system="standard" if look.colour else None,
        legacy_windows=False,
    )
    with console.capture() as captured:
        console.print(grid)
    return [line.rstrip() for line in captured.get().splitlines()]


def _least(table: Table, items: Sequence[Item]) -> int:
    """The width of the table with its `flex` column no wider than the title."""
    rows = [[column.title for column in table.columns], *map(table.cells, items)]
    return len(GAP) * (len(table.columns) - 1) + sum(
        width(column.title) if column.flex else max(map(width, cells))
        for column, cells in zip(table.columns, zip(*rows, strict=True), strict=True)
    )


def _style(column: Column, item: Item) -> str:
    return column.style(item) if column.style else ""
