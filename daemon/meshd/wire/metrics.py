"""Numbers about the daemon, in the shape that Prometheus gives them."""

from typing import Literal

from msgspec import Struct


class Sample(Struct, kw_only=True):
    """One number. The parts of a histogram bear names of their own: `_bucket`, `_sum`, `_count`."""

    name: str
    labels: dict[str, str] = {}
    value: float


class Metric(Struct, kw_only=True):
    """Numbers of one kind: what they count, and in which unit."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[Sample]
