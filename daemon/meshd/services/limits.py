"""What a request may ask for at most."""

from meshd.wire.errors import BadRequest

MAX_LIMIT = 1000
"""Items of one list."""

_LARGEST = 2**63 - 1


def check_limit(limit: int) -> None:
    """Pass the number of items that a list may have.

    Raises:
        BadRequest: it is out of range.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"limit must be from 1 to {MAX_LIMIT}")


def check_tail(after: int | None, limit: int | None) -> None:
    """Pass the cursor and the number of items of a stream.

    Raises:
        BadRequest: the database could not hold the one, or the other is not positive.
    """
    if after is not None and not 0 <= after <= _LARGEST:
        raise BadRequest(f"after must be from 0 to {_LARGEST}")
    if limit is not None and limit < 1:
        raise BadRequest("limit must be at least 1")
