"""Columns and tables: how a list of things becomes cells, and the plain layout of those cells.

Which columns a thing has stands with its noun; what a terminal adds stands in `terminal`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from meshctl.render.lines import GAP, pad, width
from meshctl.render.safe import safe

Item = Mapping[str, Any]
"""One thing as the daemon's JSON has it."""

Pairs = list[tuple[str, str]]
"""A card: labels with their values, in order."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    `style` gives a cell the name of its style (see `Look.paint`). A `flex` column is the one that
    is cut when a terminal is too narrow.
    """

    title: str
    cell: Callable[[Item], str]
    align: Literal["left", "right"] = "left"
    style: Callable[[Item], str] | None = None
    flex: bool = False


def _id(item: Item) -> str:
    return str(item["id"])


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a thing, and the word that names one of it on a command line."""

    columns: tuple[Column, ...]
    key: Callable[[Item], str] = _id

    def cells(self, item: Item) -> list[str]:
        """One row's cells, harmless on a terminal."""
        return [safe(column.cell(item)) for column in self.columns]


def plain(table: Table, items: Iterable[Item]) -> list[str]:
    """A title line and a line per item, aligned, never cut."""
    rows = [[column.title for column in table.columns], *map(table.cells, items)]
    widths = [max(map(width, cells)) for cells in zip(*rows, strict=True)]
    aligns = [column.align for column in table.columns]
    return [
        GAP.join(map(pad, row, widths, aligns)).rstrip()  # the last column needs no padding
        for row in rows
    ]
