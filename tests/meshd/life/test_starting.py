"""Where a daemon starts, and where it refuses: one per home, on a port that is free, on loopback."""

import socket
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.daemon import Daemon
from tests.support.starting import begin, refuse


@pytest.fixture
def home() -> Iterator[Daemon]:
    """A home in which nothing runs yet."""
    made = Daemon.fresh()
    yield made
    made.remove()


def port_of(daemon: Daemon) -> int:
    return int(daemon.url.rpartition(":")[2])


def test_a_second_daemon_of_a_home_refuses(shared_daemon: Daemon) -> None:
    """Without waiting for the lock, with the pid of the first, which goes on."""
    refused = refuse(Daemon(shared_daemon.home), "--port", "0")
    assert refused.code == 6
    assert refused.told["error"]["code"] == "conflict"
    assert refused.told["error"]["facts"]["pid"] == str(shared_daemon.pid)
    assert str(shared_daemon.pid) in refused.stderr
    assert shared_daemon.tcp("GET", "/health").status == 200
    assert shared_daemon.ask("GET", "/v1/status").status == 200


def test_a_lock_of_a_killed_daemon_is_free(home: Daemon) -> None:
    """And its socket is replaced."""
    begin(home, "--port", "0")
    home.kill()
    assert (home.home / "meshd.sock").exists()
    begin(home, "--port", "0")
    assert home.ask("GET", "/v1/status").status == 200


def test_a_port_that_is_taken_is_an_error(home: Daemon) -> None:
    """Where it was asked for, no other is taken instead; the error names it and the way out."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        refused = refuse(home, "--port", port)
    assert refused.code == 6
    assert port in refused.told["error"]["message"]
    assert refused.told["error"]["next"] == "meshctl daemon start --port 0"


def test_the_port_stays_over_restarts(home: Daemon) -> None:
    """Clients have it in their files: without a wish the last one is used again, if it is free."""
    begin(home, "--port", "0")
    first = port_of(home)
    home.stop()
    with closing(socket.create_server(("127.0.0.1", first))):
        begin(home)
        second = port_of(home)
        assert second != first
        assert home.tcp("GET", "/health").status == 200
        home.stop()
    begin(home)
    assert port_of(home) == second


def test_the_port_of_a_home_that_kept_it_in_its_database_stays(home: Daemon) -> None:
    """As releases before did."""
    begin(home, "--port", "0")
    port = port_of(home)
    home.stop()
    (home.home / "run" / "daemon.json").unlink()
    with closing(sqlite3.connect(home.home / "data" / "mesh.db")) as database:
        database.execute("INSERT INTO meta (name, value) VALUES ('port', ?)", (str(port),))
        database.commit()
    begin(home)
    assert port_of(home) == port


def test_only_loopback_is_listened_on(home: Daemon) -> None:
    """Beyond it a key would travel in the clear."""
    home.env["HOST"] = "0.0.0.0"
    refused = refuse(home, "--port", "0")
    assert refused.code == 2
    assert "0.0.0.0" in refused.told["error"]["message"]
    assert not (home.home / "data").exists()


def test_a_setting_that_is_not_valid_is_named(home: Daemon) -> None:
    """Exit 2, one sentence, no traceback."""
    home.env["PORT"] = "many"
    refused = refuse(home)
    assert refused.code == 2
    assert "PORT" in refused.told["error"]["message"]
    assert refused.stderr.count("\n") <= 2


def test_files_are_for_the_owner_only(home: Daemon) -> None:
    """Whatever the umask, also in a home that stood open, and also what a server writes."""
    home.home.chmod(0o755)
    home.start(prefix=("/bin/sh", "-c", 'umask 000; exec "$@"', "sh"))
    home.connect("writes", "/bin/sh", "-c", f"echo x > {home.home}/written; exit 1")
    home.add_key("somebody")
    found = [home.home, *home.home.rglob("*")]
    names = {path.name for path in found}
    assert {
        "mesh.db",
        "mesh.db-wal",
        "calls.db",
        "master.key",
        "meshd.log",
        "meshd.sock",
        "written",
    } <= names
    opened = [path for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    assert opened == []
