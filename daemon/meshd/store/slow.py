"""The log of slow queries, for every driver. By name and time only: parameters are secrets."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

SLOW = 0.4
"""Seconds from which on a query is logged."""


@contextmanager
def watched(query: str) -> Iterator[None]:
    """Log the query of this name if the block takes long, however it ends."""
    began = time.perf_counter()
    try:
        yield
    finally:
        took = time.perf_counter() - began
        if took >= SLOW:
            log.warning("slow query: %s took %d ms", query, took * 1000)
