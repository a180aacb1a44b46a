"""Numbers that requests may name."""

import pytest

from meshd.services.limits import MAX_LIMIT, check_limit, check_tail
from meshd.wire.errors import BadRequest


def test_limits_of_lists() -> None:
    check_limit(1)
    check_limit(MAX_LIMIT)
    for limit in (0, -1, MAX_LIMIT + 1, 10**30):
        with pytest.raises(BadRequest):
            check_limit(limit)


def test_cursors_and_limits_of_streams() -> None:
    for good in ((None, None), (0, 1), (2**63 - 1, 10**9)):
        check_tail(*good)
    for bad in ((-1, None), (2**63, None), (None, 0), (None, -5)):
        with pytest.raises(BadRequest):
            check_tail(*bad)
