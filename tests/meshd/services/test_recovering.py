"""Which requests may be sent again."""

import pytest
from msgspec import Raw

from meshd.services.definitions import from_entries
from meshd.services.recovering import may_repeat

LISTED = from_entries(
    [
        Raw(b'{"name":"reads","annotations":{"readOnlyHint":true}}'),
        Raw(b'{"name":"same","annotations":{"idempotentHint":true}}'),
        Raw(b'{"name":"not","annotations":{"idempotentHint":false,"readOnlyHint":false}}'),
        Raw(b'{"name":"silent"}'),
    ],
    0,
)


@pytest.mark.parametrize(
    ("method", "tool", "may"),
    [
        ("tools/call", "reads", True),
        ("tools/call", "same", True),
        ("tools/call", "not", False),
        ("tools/call", "silent", False),
        ("tools/call", "unknown", False),
        ("tools/list", "", True),
        ("initialize", "", True),
        ("notifications/cancelled", "", True),
        ("", "", True),
        ("tasks/create", "", False),
    ],
)
def test_what_may_be_sent_again(method: str, tool: str, may: bool) -> None:
    assert may_repeat(method, tool, LISTED) is may


def test_without_a_list_no_call_may() -> None:
    assert not may_repeat("tools/call", "reads", None)
