"""The daemon's own checks of its walls."""

import asyncio
import sqlite3
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest

from meshd.core.config import read_config
from meshd.services.doctor import examine
from meshd.vault.master import load_or_create
from tests.support.floors import floors
from tests.support.postgres import Postgres, with_options


def checks(home: Path, **environ: str) -> dict[str, dict]:
    found = examine(read_config({"MESHCTL_HOME": str(home), **environ}))
    return {str(check["check"]): check for check in found}


def test_a_home_that_never_ran(tmp_path: Path) -> None:
    """Nothing fails, and nothing is made."""
    found = checks(tmp_path / "none")
    assert {check["state"] for check in found.values()} == {"pass"}
    assert not (tmp_path / "none").exists()


def test_a_master_key_that_others_could_read_fails(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "master.key"
    load_or_create(key)
    assert checks(tmp_path)["master key"]["state"] == "pass"
    key.chmod(0o644)
    assert checks(tmp_path)["master key"]["state"] == "fail"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x00" * 100])
def test_a_master_key_that_is_none_fails_and_is_not_shown(tmp_path: Path, content: bytes) -> None:
    key = tmp_path / "keys" / "master.key"
    load_or_create(key)
    key.write_bytes(content)
    found = checks(tmp_path)["master key"]
    assert found["state"] == "fail"
    assert "nonsense" not in found["note"]


def settled(home: Path, **more: str) -> None:
    """A home whose database a daemon could serve."""

    async def found_it() -> None:
        async with floors(home, **more):
            pass

    asyncio.run(found_it())


def test_a_database_that_is_there_is_looked_at(tmp_path: Path) -> None:
    """Without a row-security check, of which files have nothing."""
    settled(tmp_path)
    found = checks(tmp_path)
    assert found["database"]["state"] == "pass"
    assert {"row security", "vault"}.isdisjoint(found)


def test_the_key_of_another_home_is_named_a_wrong_one(tmp_path: Path) -> None:
    settled(tmp_path)
    (tmp_path / "keys" / "master.key").unlink()
    load_or_create(tmp_path / "keys" / "master.key")
    assert checks(tmp_path)["vault"]["state"] == "fail"


def test_a_database_that_cannot_be_read_fails(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mesh.db").write_bytes(b"nonsense" * 1000)
    assert checks(tmp_path)["database"]["state"] == "fail"


def test_a_database_of_an_older_release_waits_for_its_migrations(tmp_path: Path) -> None:
    settled(tmp_path)
    with sqlite3.connect(tmp_path / "data" / "mesh.db") as db:
        db.execute(
            "DELETE FROM schema_migrations WHERE number = (SELECT max(number) FROM schema_migrations)"
        )
    found = checks(tmp_path)["database"]
    assert (found["state"], found["next"]) == ("weak", "meshctl db migrate")


@pytest.mark.parametrize("role", ["superuser", "its own", "its own, with a table left open"])
def test_who_passes_row_security_is_told(
    tmp_path: Path, postgres: Postgres, dsn: str, role: str
) -> None:
    name = f"doctor_{uuid4().hex[:12]}"
    schema = dict(parse_qsl(urlsplit(dsn).query))["search_path"]
    postgres.execute(
        f"CREATE ROLE {name} LOGIN NOSUPERUSER NOBYPASSRLS; GRANT ALL ON SCHEMA {schema} TO {name}"
    )
    try:
        mine = dsn if role == "superuser" else with_options(dsn, user=name)
        settled(tmp_path, url=mine)
        if role.endswith("open"):
            postgres.execute(f"ALTER TABLE {schema}.keys NO FORCE ROW LEVEL SECURITY")
        found = checks(tmp_path, DATABASE_URL=mine)
        assert found["database"]["state"] == "pass"
        assert found["row security"]["state"] == ("pass" if role == "its own" else "weak")
        said = {"superuser": "BYPASSRLS", "its own": "apart"}.get(role, "tables keys")
        assert said in found["row security"]["note"]
    finally:
        postgres.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def test_metrics_for_everybody_are_weak(tmp_path: Path) -> None:
    assert "metrics" not in checks(tmp_path)
    assert checks(tmp_path, METRICS_ACCESS="open")["metrics"]["state"] == "weak"
