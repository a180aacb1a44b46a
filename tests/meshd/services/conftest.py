"""The floors under test, on a database of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.floors import Floors, floors


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Floors]:
    async with floors(tmp_path) as opened:
        yield opened
