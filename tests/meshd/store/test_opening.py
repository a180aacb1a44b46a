"""Both databases of a daemon, opened as its settings say."""

from pathlib import Path

import pytest

from meshd.core.config import Config, read_config
from meshd.store.db import Step
from meshd.store.opening import open_databases
from meshd.wire.errors import Unavailable


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    url = request.getfixturevalue("dsn") if request.param == "postgres" else ""
    return read_config({"MESHCTL_HOME": str(tmp_path), "DATABASE_URL": url})


async def test_opening_leaves_the_schema_alone_and_tells_what_is_missing(config: Config) -> None:
    async with open_databases(config) as databases:
        missing = await databases.pending()
        assert "0200_foundation" in missing
        assert "0201_calls" in missing
        assert await databases.pending() == missing
        assert await databases.migrate() == [int(name[:4]) for name in missing]
        assert await databases.pending() == []
        assert await databases.migrate() == []


async def test_both_have_their_tables_and_keep_them(config: Config) -> None:
    async with open_databases(config) as databases:
        await databases.migrate()
        await databases.main.write(Step("meta.add", {"name": "a", "value": "1"}))
        assert await databases.calls.org("org").one("call.last") == {"seq": 0}
    async with open_databases(config) as databases:
        assert await databases.pending() == []
        assert await databases.main.one("meta.get", name="a") == {"value": "1"}


async def test_only_what_is_promised_waits_for_the_disk_of_postgres(
    dsn: str, tmp_path: Path
) -> None:
    config = read_config({"MESHCTL_HOME": str(tmp_path), "DATABASE_URL": dsn})
    asked = "SHOW synchronous_commit"
    async with open_databases(config) as databases:
        for database, mode in ((databases.main, "on"), (databases.calls, "off")):
            async with database._database._pool.connection() as connection:
                assert await connection.fetchval(asked) == mode


async def test_a_file_lies_where_it_is_asked_for(tmp_path: Path) -> None:
    """Relative to the home, and the call records beside it."""
    environ = {"MESHCTL_HOME": str(tmp_path), "DATABASE_URL": "sqlite:deep/all.db"}
    async with open_databases(read_config(environ)) as databases:
        await databases.migrate()
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"all.db", "calls.db"}
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:hunter2@127.0.0.1:1/d",
        "postgres://u:hunter2@127.0.0.1:1/d?sslmode=hunter",
        "file:taken/all.db",
    ],
)
async def test_what_cannot_be_opened_is_told_without_a_secret(tmp_path: Path, url: str) -> None:
    (tmp_path / "taken").write_text("a file")
    config = read_config({"MESHCTL_HOME": str(tmp_path), "DATABASE_URL": url})
    with pytest.raises(Unavailable, match="cannot be used") as refused:
        async with open_databases(config):
            pass
    error: BaseException | None = refused.value
    assert refused.value.next == "meshctl config list"
    while error is not None:
        assert "hunter2" not in repr(error)
        error = error.__context__
