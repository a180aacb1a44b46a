"""What every driver must do. One more driver is one more parameter of the `opening` fixture."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshd.store import slow
from meshd.store.db import (
    ExpectFailed,
    QueryUnknown,
    Step,
    StoreError,
    StoreUnavailable,
    UniqueViolation,
)
from tests.meshd.store.model import UNITS, add, as_step, bump, modelled, outcomes, things

SECRET = "hunter2"


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

    async def test_of_units_at_once_each_sees_the_one_before_it(self, database):
        await database.write(add("a"))
        answers = await outcomes(database, *[[bump("a")] for _ in range(40)])
        assert sorted(answer[0][0]["count"] for answer in answers) == list(range(1, 41))

    async def test_a_thing_is_claimed_once(self, database):
        """Of those who see it free at once, one gets it and the others are told."""
        await database.write_many("thing.add", [{"name": name, "count": 0} for name in "abcd"])
        claims = [
            [Step("thing.claim", {"name": name, "by": by}, expect=1)]
            for by in range(1, 9)
            for name in "abcd"
        ]
        answers = await outcomes(database, *claims)
        assert sum(answer == [[]] for answer in answers) == 4
        assert sum(isinstance(answer, ExpectFailed) for answer in answers) == 28
        assert all((await things(database)).values())

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


@pytest.mark.usefixtures("kept")
class TestValues:
    @pytest.mark.parametrize(
        ("value", "type_"),
        [
            ("text", str), ("", str), ("Ä\N{PILE OF POO}", str), ("'; DROP TABLE kept", str),
            (0, int), (-(1 << 63), int), ((1 << 63) - 1, int), (True, int), (False, int),
            (b"", bytes), (b"\0\xff", bytes), (bytearray(b"ab"), bytes), (memoryview(b"ab"), bytes),
            (None, type(None)),
        ],
    )  # fmt: skip
    async def test_what_is_stored_comes_back_in_the_same_type(self, database, value, type_):
        column = {int: "number", str: "label", bytes: "content"}.get(type_, "label")
        empty = {"number": None, "label": None, "content": None}
        await database.write(Step("kept.add", {**empty, column: value}))
        found = await database.one("kept.get")
        assert found == {**empty, column: value}
        assert type(found[column]) is type_

    async def test_text_with_a_zero_in_it_costs_nothing_but_perhaps_the_zero(self, database):
        """It comes from outside, in a batch with others and as what somebody looks for."""
        rows = [{"name": name, "count": 1} for name in ("a", "b\0", "c")]
        await database.write_many("thing.add", rows)
        assert set(await things(database)) in ({"a", "b\0", "c"}, {"a", "b\ufffd", "c"})
        assert (await database.one("thing.get", name="b\0"))["count"] == 1
        assert await database.one("thing.get", name="d\0") is None


class TestMigrations:
    async def test_every_missing_number_is_applied_also_below_the_highest(
        self, opening, migrations
    ):
        (migrations / "0300_late.sql").write_text("CREATE TABLE late (n INT);")
        database = await opening()
        assert await database.migrate() == [100, 300]
        (migrations / "0400_later.sql").write_text("CREATE TABLE later (n INT);")
        (migrations / "0200_between.sql").write_text("CREATE TABLE between_them (n INT);")
        assert await database.migrate() == [200, 400]
        await database.close()
        database = await opening()
        assert await database.migrate() == []
        await database.close()

    async def test_a_failing_file_leaves_nothing_and_stops(self, opening, migrations):
        """What it began would be in the way of its corrected form."""
        bad = migrations / "0200_bad.sql"
        bad.write_text("CREATE TABLE half (n INT); INSERT INTO nowhere VALUES (1);")
        (migrations / "0300_good.sql").write_text("CREATE TABLE good (n INT);")
        database = await opening()
        with pytest.raises(StoreError, match=r"^0200_bad\.sql: .*nowhere"):
            await database.migrate()
        bad.write_text("CREATE TABLE half (n INT);")
        assert await database.migrate() == [200, 300]
        await database.close()

    async def test_a_changed_file_is_refused_by_name(self, database, migrations):
        with (migrations / "0100_things.sql").open("a") as file:
            file.write("-- a word more\n")
        with pytest.raises(StoreError, match=r"0100_things\.sql was changed"):
            await database.migrate()

    async def test_a_database_of_a_later_release_is_refused(self, database, migrations):
        (migrations / "0100_things.sql").unlink()
        with pytest.raises(StoreError, match="belongs to a later one"):
            await database.migrate()

    async def test_what_was_applied_is_recorded(self, database):
        row = await database.one("ledger.all")
        assert (row["number"], row["name"], len(row["checksum"])) == (100, "things", 64)
        assert row["applied_at"] > 1_600_000_000_000_000


class TestSlowQueries:
    @pytest.mark.parametrize("way", ["all", "write", "write_many"])
    async def test_they_are_logged_by_name_and_never_with_a_value(
        self, database, caplog, monkeypatch, way
    ):
        monkeypatch.setattr(slow, "SLOW", 0.0)
        values = {"name": SECRET, "count": 424242}
        if way == "all":
            await database.all("thing.get", **values)
        elif way == "write":
            await database.write(Step("thing.add", values))
        else:
            await database.write_many("thing.add", [values])
        (told,) = [record.getMessage() for record in caplog.records]
        assert told.startswith(f"slow query: thing.{'get' if way == 'all' else 'add'} took ")
        assert told.endswith(" ms")

    async def test_others_are_not(self, database, caplog):
        await database.write(add("a"))
        await database.all("thing.all")
        assert caplog.records == []

    async def test_one_that_fails_is_logged_too(self, database, caplog, monkeypatch):
        monkeypatch.setattr(slow, "SLOW", 0.0)
        with pytest.raises(StoreError):
            await database.write(add(SECRET, -1))
        assert [record.getMessage().split()[2] for record in caplog.records] == ["thing.add"]
        assert SECRET not in caplog.text


STRICTLY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@STRICTLY
@given(units=st.lists(UNITS, max_size=12))
async def test_units_do_what_they_do_to_a_dictionary(database, units):
    await database.write(Step("thing.clear"))
    state: dict[str, int] = {}
    for unit in units:
        after = modelled(state, unit)
        (answer,) = await outcomes(database, [as_step(*part) for part in unit])
        assert isinstance(answer, StoreError) == (after is None)
        state = state if after is None else after
        assert await things(database) == state


@STRICTLY
@given(
    moves=st.lists(
        st.tuples(st.permutations("abcd"), st.integers(1, 4)), min_size=1, max_size=20
    )
)
async def test_what_units_at_once_move_is_neither_lost_nor_doubled(database, moves):
    """From one thing to another, which fails for what the first does not have."""
    await database.write(Step("thing.clear"))
    await database.write_many("thing.add", [{"name": name, "count": 5} for name in "abcd"])
    units = []
    for (giver, taker, *_), much in moves:
        steps = {giver: bump(giver, -much), taker: bump(taker, much)}
        units.append([steps[name] for name in sorted(steps)])  # by name, or they would deadlock
    await outcomes(database, *units)
    assert sum((await things(database)).values()) == 20
