"""Metrics as columns: a row a number, without the buckets that only a scraper reads."""

from collections.abc import Iterable

from meshctl.render.columns import Column, Item, Table

_BUCKET = "_bucket"


def samples(metrics: Iterable[Item]) -> list[Item]:
    """The numbers of all metrics, in their order."""
    found = [sample for metric in metrics for sample in metric["samples"]]
    return [sample for sample in found if not sample["name"].endswith(_BUCKET)]


def table() -> Table:
    """`metrics`."""
    return Table(
        (
            Column("METRIC", lambda s: str(s["name"])),
            Column("OF", labels, flex=True),
            Column("VALUE", lambda s: number(s["value"]), align="right"),
        ),
        key=lambda s: str(s["name"]),
    )


def labels(sample: Item) -> str:
    """What the number is of: `connection=clock outcome=ok`."""
    return " ".join(f"{name}={value}" for name, value in sample["labels"].items())


def number(value: float) -> str:
    """Whole numbers whole, others to the microsecond."""
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0")
