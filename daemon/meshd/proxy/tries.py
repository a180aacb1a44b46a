"""How often one request is tried at a server that comes and goes, and what counts as no try."""

from collections.abc import Iterator
from contextlib import contextmanager

from meshd.wire.errors import UpstreamFailed

TRIES = 3
"""Times that one request is sent, at most: a server may be restarted again meanwhile."""


@contextmanager
def beforehand() -> Iterator[None]:
    """Do what a request needs first. What fails here says that the request was not sent."""
    try:
        yield
    except UpstreamFailed as error:
        error.sent = False
        raise
