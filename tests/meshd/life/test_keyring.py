"""A daemon whose master key is in a real Secret Service, through what befalls a desktop."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.secret_service import SecretService, desktop


@pytest.fixture
def session() -> Iterator[SecretService]:
    with tempfile.TemporaryDirectory(prefix="mesh-") as folder, desktop(Path(folder)) as made:
        yield made


@pytest.fixture
def home(session: SecretService) -> Iterator[Daemon]:
    made = Daemon.fresh(MESHCTL_KEYRING="1", **session.env)
    yield made
    made.remove()


def locked_by(home: Daemon) -> str:
    status = home.control("GET", "/v1/status")
    assert status["daemon"]["state"] == "locked"
    (problem,) = status["problems"]
    return str(problem["message"])


def call(home: Daemon, key: str) -> int:
    """The status of a call that needs a sealed secret of the home."""
    return home.rpc("stdio", "tools/list", key=key).status


def test_the_login_keyring_opens_the_vault_and_only_it(
    session: SecretService, home: Daemon
) -> None:
    """Made at the first start, read at the next; locked while the keyring is locked or away."""
    session.sign_in()
    home.start()
    vault = home.control("GET", "/v1/vault")
    assert (vault["state"], vault["source"]["name"]) == ("open", "keyring")
    assert not (home.home / "keys/master.key").exists()
    home.connect("stdio", *stdio_server.command(), env={"CANARY": "sealed"})
    key = home.add_key("client")
    home.stop()

    home.start()
    assert home.control("GET", "/v1/vault")["key_id"] == vault["key_id"]
    assert call(home, key) == 200
    home.stop()

    session.sign_out()
    session.sign_in_locked()
    home.start()
    assert "KeyringLocked" in locked_by(home)
    assert call(home, key) == 503
    session.sign_out()
    session.sign_in()
    home.control("POST", "/v1/vault/unlock", {})
    assert home.control("GET", "/v1/vault")["key_id"] == vault["key_id"]
    assert call(home, key) == 200
    home.stop()

    session.sign_out()
    home.start()
    assert "No keyring answers here" in locked_by(home)
    assert not (home.home / "keys/master.key").exists()


def test_a_locked_keyring_is_given_no_key(session: SecretService, home: Daemon) -> None:
    """The first start then makes none elsewhere either, and tells why."""
    session.sign_in()
    session.sign_out()
    session.sign_in_locked()
    home.start()
    assert "KeyringLocked" in locked_by(home)
    assert not (home.home / "keys").exists() or not list((home.home / "keys").iterdir())
