"""What is handed over at once."""

import pytest

from meshd.bus.dispatcher import BATCH_SIZE, _batches
from meshd.bus.queue import Claim


def claim(number: int, size: int, crashes: int = 1) -> Claim:
    return Claim(
        str(number), "org", "sub", 1, 1, crashes, None, {"id": str(number), "data": "x" * size}
    )


@pytest.mark.parametrize(
    ("sizes", "together", "batches"),
    [
        ([1, 1, 1], True, [3]),
        ([1, 1, 1], False, [1, 1, 1]),
        ([BATCH_SIZE // 2, BATCH_SIZE // 2, 1], True, [2, 1]),
        ([BATCH_SIZE + 1, 1], True, [1, 1]),
        ([], True, []),
    ],
)
def test_batches_are_bounded_by_their_size(
    sizes: list[int], together: bool, batches: list[int]
) -> None:
    made = _batches([claim(n, size) for n, size in enumerate(sizes)], together=together)
    assert [len(batch) for batch in made] == batches
    assert [one.id for batch in made for one in batch] == [str(n) for n in range(len(sizes))]


def test_what_may_have_ended_a_daemon_goes_alone() -> None:
    made = _batches([claim(0, 1), claim(1, 1, crashes=2), claim(2, 1)], together=True)
    assert [[one.id for one in batch] for batch in made] == [["1"], ["0", "2"]]


def test_an_id_is_in_a_batch_once() -> None:
    """Results come by id, and another source may have the same one."""
    twins = [claim(0, 1), claim(1, 1), claim(2, 1)]
    twins[1].event["id"] = "0"
    made = _batches(twins, together=True)
    assert [[one.id for one in batch] for batch in made] == [["0"], ["1", "2"]]
