"""Long work leaves the event loop free; short work does not pay for a thread."""

import threading

import pytest

from meshd.core.beside import worked_out


@pytest.mark.parametrize("long", [False, True])
async def test_long_work_alone_is_done_in_another_thread(long: bool) -> None:
    assert (await worked_out(threading.get_ident, long=long) != threading.get_ident()) == long


async def test_what_goes_wrong_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await worked_out(lambda: 1 // 0, long=True)
