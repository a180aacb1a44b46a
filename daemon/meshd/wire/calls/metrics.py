"""Calls about metrics."""

from meshd.wire.calls.row import Call
from meshd.wire.empty import Nothing
from meshd.wire.metrics import Metric

READ = Call(
    "metrics.read",
    "GET",
    "/v1/metrics",
    Nothing,
    list[Metric],
    "instance",
    "Read the daemon's numbers.",
    in_org=False,
)

CALLS = (READ,)
