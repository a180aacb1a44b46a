"""Batches in few statements: every row is there once, whatever their number, and nothing waits long."""

import sqlite3

import pytest

from meshd.store.queries import statement
from meshd.store.sqlite_rows import SIZES, statements

ADD = """INSERT INTO things (name, org_id, count)
VALUES (:name, :org_id,
        :count)
ON CONFLICT (name) DO NOTHING"""


@pytest.mark.parametrize("number", [1, 3, 4, 63, 64, 65, 500])
def test_all_rows_in_their_order_in_few_steps(number):
    """And a second time none of them; text and bytes come as they were."""
    query = statement("thing.add", ADD)
    rows = [
        query.bind({"count": at, "name": f"'\0☃ {at}", "org_id": b"\0\xff"}) for at in range(number)
    ]
    with sqlite3.connect(":memory:") as file:
        file.execute("CREATE TABLE things (seq INTEGER PRIMARY KEY, name UNIQUE, org_id, count)")
        for _ in range(2):
            for sql, times in statements(query, rows):
                file.executemany(sql, times)
        found = file.execute("SELECT name, org_id, count FROM things ORDER BY seq").fetchall()
    file.close()
    assert found == [tuple(row.values()) for row in rows]
    steps = sum(len(times) for _, times in statements(query, rows))
    assert steps <= number // SIZES[0] + 3 * (len(SIZES) - 1)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE things SET count = :count WHERE org_id = :org_id AND name = :name",
        "INSERT INTO things (name, org_id, count) VALUES (:name, :org_id, :count + 1)",
        """INSERT INTO things (name, org_id) VALUES (:name, :org_id)
        ON CONFLICT (name) DO UPDATE SET count = :count""",
    ],
)
def test_what_is_no_insert_of_plain_parameters_stays_as_it_is(sql):
    query = statement("thing.put", sql)
    rows = [query.bind({"name": "a", "org_id": "o", "count": 1})] * 100
    assert list(statements(query, rows)) == [(query.sql, rows)]
