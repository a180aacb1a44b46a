"""Many rows of an INSERT in few statements.

Python's driver gives up the interpreter's lock for every step of a statement. Beside a busy event
loop a thread waits up to 5 ms to have it back, so that row by row a batch of call records took
longer than the calls themselves, and they piled up in memory.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from meshd.store.queries import Query

SIZES = (64, 16, 4, 1)
"""Rows of one statement: few lengths, so that each is prepared once and kept by the driver."""

_ROW = re.compile(r"\bVALUES\s*\(\s*:\w+\s*(?:,\s*:\w+\s*)*\)", re.IGNORECASE)


def statements(query: Query, rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Each statement, and the values of each time that it is to be run.

    `rows` are bound by the query, so that their values stand in the order of its parameters. What
    is no INSERT of plain parameters is run row by row.
    """
    found = _ROW.search(query.sql)
    if found is None or found[0].count(":") != len(query.params):
        yield query.sql, rows
        return
    head, tail = query.sql[: found.start()], query.sql[found.end() :]
    row = f"({', '.join('?' * len(query.params))})"
    at = 0
    for size in SIZES:
        end = at + (len(rows) - at) // size * size
        if at < end:
            times = [
                [value for row in rows[first : first + size] for value in row.values()]
                for first in range(at, end, size)
            ]
            yield f"{head}VALUES {', '.join([row] * size)}{tail}", times
        at = end
