"""What a connection subscribes to by itself, brought to what it says it wants. In one unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshd.services.subscription_rows import SubscriptionRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscription as it is to be: checked columns."""

    types: tuple[str, ...]
    publisher: str | None
    filter: str | None

    @property
    def about(self) -> tuple[Any, ...]:
        """What stays the same when only the filter changes."""
        return self.types, self.publisher


@dataclass(frozen=True, slots=True)
class Changes:
    """What there is to do; every row that was there is in one of them."""

    create: Sequence[Wanted]
    update: Sequence[tuple[SubscriptionRow, Wanted]]
    delete: Sequence[SubscriptionRow]
    keep: Sequence[SubscriptionRow]


def compare(rows: Sequence[SubscriptionRow], wanted: Sequence[Wanted], maker: str) -> Changes:
    """How to get from `rows` to what is wanted.

    What is there already stays, if it works and `maker`, the id of who asks, made it; where only
    the filter differs, or the maker, it is changed and keeps what waits for it.
    """
    left = {as_wanted(row): row for row in rows}
    keep, update, rest = [], [], []
    for one in dict.fromkeys(wanted):
        row = left.pop(one, None)
        if row is None:
            rest.append(one)
        elif row.maker.id == maker and row.active:
            keep.append(row)
        else:
            update.append((row, one))
    by_about = {one.about: (one, row) for one, row in left.items()}
    create = []
    for one in rest:
        was, row = by_about.pop(one.about, (None, None))
        if was is None or row is None:
            create.append(one)
        else:
            update.append((row, one))
            del left[was]
    # Of several that are alike, `left` holds one: the others go.
    kept = {row.id for row in keep} | {row.id for row, _ in update}
    return Changes(create, update, [row for row in rows if row.id not in kept], keep)


def as_wanted(row: SubscriptionRow) -> Wanted:
    """What a row says."""
    return Wanted(row.types, row.publisher, row.filter)
