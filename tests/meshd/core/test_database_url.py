"""DATABASE_URL: what it means, and what of it is shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.database_url import PostgresServer, SqliteFile, read_database, shown_database
from meshd.core.secret import Secret

FILES = [
    ("file:data/mesh.db", "data/mesh.db"),
    ("file:./mesh.db", "mesh.db"),
    ("sqlite:mesh.db", "mesh.db"),
    ("file:///var/mesh.db", "/var/mesh.db"),
    ("sqlite:/var/my%20mesh.db", "/var/my mesh.db"),
]
SERVERS = [
    ("postgres://h/d", "postgres://h/d"),
    ("postgresql://u:p@h:5432/d", "postgresql://u:***@h:5432/d"),
    ("postgres://u:p@ss@h,g:1/d", "postgres://u:***@h,g:1/d"),
    ("postgres://:pw@[::1]:5/d", "postgres://:***@[::1]:5/d"),
    ("postgres://u@/d?host=/run&port=1", "postgres://u@/d?host=/run&port=1"),
    (
        "postgres://?user=u&password=p&sslmode=require&sslpassword=q",
        "postgres://?user=u&password=***&sslmode=require&sslpassword=***",
    ),
]
REFUSED = [
    ("hunter2", "***"),
    ("mysql://u:hunter2@h/d", "mysql:***"),
    ("postgres:hunter2", "postgres:***"),
    ("postgres://u:hun/ter2@h/d", "postgres:***"),
    ("postgres://u:hun?ter2@h/d", "postgres:***"),
    ("postgres://u:hun#ter2@h/d", "postgres:***"),
    ("postgres://h:hunter2/d", "postgres:***"),
    ("postgres://h/d?hunter2", "postgres:***"),
]


@pytest.mark.parametrize(("url", "path"), FILES)
def test_a_file(url: str, path: str) -> None:
    assert read_database(url) == SqliteFile(Path(path))
    assert shown_database(url) == url


@pytest.mark.parametrize(("url", "shown"), SERVERS)
def test_a_server_is_shown_without_its_password(url: str, shown: str) -> None:
    assert read_database(url) == PostgresServer(Secret(url))
    assert shown_database(url) == shown


@pytest.mark.parametrize(("url", "shown"), REFUSED)
def test_of_what_is_refused_nothing_is_shown(url: str, shown: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        read_database(url)
    assert shown_database(url) == shown


@pytest.mark.parametrize(
    "url", ["file:", "file:x/", "file:..", "sqlite::memory:", "file://host/x", "file:x?mode=ro",
            "file:calls.db", "file:x/calls.db"]
)  # fmt: skip
def test_what_is_no_file_of_its_own_is_refused(url: str) -> None:
    """A folder, memory, another machine, and the file of the call records."""
    with pytest.raises(ValueError, match=r"^$"):
        read_database(url)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_no_password_is_ever_shown(password: str) -> None:
    """Whatever is in it, coded or not, the URL is refused or hides it."""
    canary = f"canary{password}canary"
    for url in (f"postgres://u:{canary}@h/d", f"postgres://h/d?password={canary}"):
        assert "canary" not in shown_database(url)
