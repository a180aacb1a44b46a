"""What every driver must do. One more driver is one more parameter of the `database` fixture."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshd.store.db import (
    Database,
    ExpectFailed,
    QueryUnknown,
    Step,
    StoreError,
    StoreUnavailable,
    UniqueViolation,
)

SECRET = "hunter2"


def add(name: str, count: int = 0) -> Step:
    return Step("thing.add", {"name": name, "count": count})


def bump(name: str, by: int = 1, expect: int | None = 1) -> Step:
    return Step("thing.bump", {"name": name, "by": by}, expect)


async def things(database: Database) -> dict[str, int]:
    return {row["name"]: row["count"] for row in await database.all("thing.all")}


async def outcomes(database: Database, *units: list[Step]) -> list[Any]:
    """The answers or exceptions of units that are written at the same time."""
    return await asyncio.gather(*(database.write(*unit) for unit in units), return_exceptions=True)


class TestAnswers:
    async def test_a_write_answers_step_by_step(self, database):
        answer = await database.write(add("a", 1), bump("a", 2), add("b"), bump("a", 3))
        assert answer == [[], [{"count": 3}], [], [{"count": 6}]]

    async def test_reads_answer_dictionaries(self, database):
        await database.write(add("b", 2), add("a", 1))
        assert await database.all("thing.all") == [
            {"name": "a", "count": 1},
            {"name": "b", "count": 2},
        ]
        assert await database.one("thing.get", name="b") == {"name": "b", "count": 2}

    async def test_nothing_found_is_empty_or_none(self, database):
        assert await database.all("thing.all") == []
        assert await database.one("thing.get", name="a") is None

    async def test_each_write_is_read_at_once(self, database):
        await database.write(add("a"))
        for count in range(1, 30):
            await database.write(bump("a"))
            assert await database.one("thing.get", name="a") == {"name": "a", "count": count}

    async def test_many_rows_are_one_unit(self, database):
        rows = [{"name": f"n{at:03}", "count": at} for at in range(300)]
        await database.write_many("thing.add", rows)
        assert await things(database) == {row["name"]: row["count"] for row in rows}
        with pytest.raises(UniqueViolation):
            await database.write_many("thing.add", [{"name": "x", "count": 1}, rows[0]])
        assert "x" not in await things(database)

    async def test_no_step_and_no_row_are_no_write(self, database):
        assert await database.write() == []
        await database.write_many("thing.add", [])
        assert await things(database) == {}

    async def test_parameters_are_taken_when_the_call_is_made(self, database):
        params = {"name": "a", "count": 1, "unused": object()}
        writing = asyncio.ensure_future(database.write(Step("thing.add", params)))
        await asyncio.sleep(0)
        params["name"] = "b"
        await writing
        assert await things(database) == {"a": 1}


class TestFailures:
    async def test_a_unit_is_whole_or_not_at_all(self, database):
        await database.write(add("a"))
        with pytest.raises(UniqueViolation):
            await database.write(add("b"), add("a"), add("c"))
        assert await things(database) == {"a": 0}

    async def test_a_taken_key_is_named(self, database):
        await database.write(add("a"), Step("part.add", {"thing": "a", "label": "x"}))
        with pytest.raises(UniqueViolation) as single:
            await database.write(add("a"))
        with pytest.raises(UniqueViolation) as pair:
            await database.write(Step("part.add", {"thing": "a", "label": "x"}))
        assert (single.value.query, single.value.columns) == ("thing.add", "things.name")
        assert (pair.value.query, pair.value.columns) == ("part.add", "parts.thing, parts.label")

    @pytest.mark.parametrize(
        ("step", "got"),
        [
            (bump("absent", expect=1), 0),
            (bump("a", expect=0), 1),
            (Step("thing.set", {"name": "absent", "count": 1}, 1), 0),
            (Step("thing.set", {"name": "a", "count": 1}, 2), 1),
            (Step("thing.set_twice", {"name": "a", "count": 1}, 0), 1),
            (Step("thing.set_twice", {"name": "absent", "count": 1}, 1), 0),
            (Step("thing.get", {"name": "absent"}, 1), 0),
        ],
    )
    async def test_an_unexpected_number_of_rows_undoes_the_unit(self, database, step, got):
        await database.write(add("a", 5))
        with pytest.raises(ExpectFailed) as failure:
            await database.write(add("b"), step)
        told = failure.value
        assert (told.query, told.expected, told.got) == (step.query, step.expect, got)
        assert await things(database) == {"a": 5}

    async def test_an_expected_number_of_rows_passes(self, database):
        await database.write(
            add("a"),
            Step("thing.add", {"name": "b", "count": 1}, 1),
            Step("thing.set", {"name": "a", "count": 3}, 1),
            Step("thing.set_twice", {"name": "b", "count": 3}, 1),
            Step("thing.drop", {"name": "absent"}, 0),
            bump("a"),
        )
        assert await things(database) == {"a": 4, "b": 6}

    async def test_a_failing_unit_costs_only_itself(self, database):
        units = [[add(f"n{at:02}", -1 if at % 7 == 0 else at)] for at in range(60)]
        answers = await outcomes(database, *units)
        failed = [at for at, answer in enumerate(answers) if isinstance(answer, StoreError)]
        assert failed == list(range(0, 60, 7))
        assert await things(database) == {f"n{at:02}": at for at in range(60) if at % 7}

    async def test_a_constraint_checked_at_commit_costs_only_its_unit(self, database):
        orphan = Step("part.add", {"thing": "absent", "label": "x"})
        answers = await outcomes(database, [add("a")], [orphan], [add("b")])
        assert [isinstance(answer, StoreError) for answer in answers] == [False, True, False]
        assert await things(database) == {"a": 0, "b": 0}

    async def test_units_see_those_before_them(self, database):
        answers = await outcomes(database, [add("a")], *[[bump("a")] for _ in range(40)])
        assert [answer[0][0]["count"] for answer in answers[1:]] == list(range(1, 41))

    async def test_a_cancelled_caller_costs_nobody_else(self, database):
        writes = [asyncio.ensure_future(database.write(add(f"n{at:02}"))) for at in range(40)]
        await asyncio.sleep(0)
        for write in writes[::4]:
            write.cancel()
        answers = await asyncio.gather(*writes, return_exceptions=True)
        assert [answer for at, answer in enumerate(answers) if at % 4] == [[[]]] * 30
        stored = await things(database)
        assert {f"n{at:02}" for at in range(40) if at % 4} <= stored.keys()


class TestRefusals:
    async def test_an_unknown_query_is_refused_before_anything_is_written(self, database):
        with pytest.raises(QueryUnknown):
            await database.write(add("a"), Step("thing.fly"))
        with pytest.raises(QueryUnknown):
            await database.write_many("thing.fly", [])
        with pytest.raises(QueryUnknown):
            await database.one("thing.fly")
        assert await things(database) == {}

    @pytest.mark.parametrize("way", ["write", "write_many", "all"])
    async def test_a_missing_parameter_is_named_and_no_value(self, database, way):
        calls = {
            "write": lambda: database.write(add("a"), Step("thing.add", {"name": SECRET})),
            "write_many": lambda: database.write_many("thing.add", [{"name": SECRET}]),
            "all": lambda: database.all("thing.get", nome=SECRET),
        }
        with pytest.raises(StoreError, match=r"^thing\.(add: no value for count|get: .* name)$"):
            await calls[way]()
        assert await things(database) == {}

    @pytest.mark.parametrize(
        "values",
        [
            {"name": f"{SECRET}\ud800", "count": 1},
            {"name": [SECRET], "count": 1},
            {"name": SECRET, "count": 1 << 70},
            {"name": SECRET, "count": -1},
            {"name": "taken", "count": 424242},
        ],
    )
    async def test_no_error_carries_a_value(self, database, values):
        await database.write(add("taken"))
        failures = []
        for attempt in (
            lambda: database.write(Step("thing.add", values)),
            lambda: database.write_many("thing.add", [values]),
            lambda: database.write(Step("thing.get", values, expect=7)),
        ):
            with pytest.raises(StoreError) as failure:
                await attempt()
            failures.append(failure.value)
        for told in failures:
            assert str(told).startswith("thing.")
            assert told.__context__ is None
            assert told.__cause__ is None
            for value in (SECRET, "taken", "424242", str(1 << 70)):
                assert value not in repr(told)

    async def test_a_value_that_cannot_be_sent_is_no_part_of_a_read_error(self, database):
        with pytest.raises(StoreError, match=r"^thing\.get: ") as failure:
            await database.one("thing.get", name=f"{SECRET}\ud800")
        assert SECRET not in repr(failure.value)
        assert failure.value.__context__ is None

    async def test_a_closed_database_refuses_everything_and_closes_twice(self, database):
        await database.close()
        await database.close()
        for attempt in (
            lambda: database.write(add("a")),
            lambda: database.write_many("thing.add", [{"name": "a", "count": 1}]),
            lambda: database.all("thing.all"),
            lambda: database.one("thing.get", name="a"),
            database.migrate,
        ):
            with pytest.raises(StoreUnavailable):
                await attempt()

    async def test_a_migrated_database_has_nothing_to_migrate(self, database):
        assert await database.migrate() == []


NAMES = st.sampled_from("abcd")
OPERATIONS = st.one_of(
    st.tuples(st.just("add"), NAMES, st.integers(-1, 3)),
    st.tuples(st.just("bump"), NAMES, st.integers(-3, 3)),
    st.tuples(st.just("drop"), NAMES, st.just(0)),
)


def as_step(verb: str, name: str, number: int) -> Step:
    if verb == "add":
        return add(name, number)
    return bump(name, number) if verb == "bump" else Step("thing.drop", {"name": name}, 1)


def modelled(state: dict[str, int], unit: list[tuple[str, str, int]]) -> dict[str, int] | None:
    """The state after a unit, or None if the unit must fail."""
    after = dict(state)
    for verb, name, number in unit:
        if (verb == "add") == (name in after):
            return None
        after[name] = number if verb == "add" else after[name] + number
        if after[name] < 0:
            return None
        if verb == "drop":
            del after[name]
    return after


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(units=st.lists(st.lists(OPERATIONS, min_size=1, max_size=4), max_size=30))
async def test_units_at_once_equal_units_one_by_one(database, units):
    """Whatever shares a commit with whatever fails, the end is that of a plain dictionary."""
    await database.write(Step("thing.clear"))
    state: dict[str, int] = {}
    expected = []
    for unit in units:
        after = modelled(state, unit)
        expected.append(after is not None)
        state = state if after is None else after
    answers = await outcomes(database, *[[as_step(*part) for part in unit] for unit in units])
    assert [not isinstance(answer, StoreError) for answer in answers] == expected
    assert await things(database) == state
