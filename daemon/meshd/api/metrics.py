"""Handlers of calls about metrics."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.metrics import Metrics


def handlers(metrics: Metrics) -> Mapping[str, Handler]:
    """By call name."""
    return {"metrics.read": lambda _who, _: metrics.read()}
