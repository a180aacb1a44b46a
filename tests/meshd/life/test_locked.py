"""A daemon whose master key is missing, wrong or out of reach: it serves, locked, and opens later."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshd.vault.key import Key
from meshd.vault.master import MasterKey, decode, encode
from tests.support import stdio_server
from tests.support.command import meshctl
from tests.support.daemon import Daemon
from tests.support.processes import shown
from tests.support.wait import until

ENV = "canary-sealed-9d1c33"


@pytest.fixture
def home() -> Iterator[Daemon]:
    """A home in which nothing runs yet."""
    made = Daemon.fresh()
    yield made
    made.remove()


def key_file(home: Daemon) -> Path:
    return home.home / "keys" / "master.key"


def put(home: Daemon, text: str) -> None:
    """A key file as it has to be."""
    key_file(home).write_text(text)
    key_file(home).chmod(0o600)


def a_key() -> str:
    """The text of some other key."""
    return encode(MasterKey(Key.random())).decode()


def key_id(text: str) -> str:
    key = decode(text.encode())
    assert key is not None
    return key.id.hex()


def furnish(home: Daemon) -> tuple[str, str]:
    """A home with a sealed secret whose key file was then taken away: a client key, the file."""
    home.start()
    home.connect("stdio", *stdio_server.command(), env={"CANARY": ENV})
    client = home.add_key("client")
    home.stop()
    text = key_file(home).read_text()
    key_file(home).unlink()
    return client, text


def script(home: Daemon, text: str) -> str:
    """A command that does what `text` says."""
    path = home.home / "print-key"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return f"{path} with-argument"


def locked_by(home: Daemon) -> str:
    """Why it is locked, as `status` tells."""
    status = home.control("GET", "/v1/status")
    assert status["daemon"]["state"] == "locked"
    (problem,) = status["problems"]
    assert problem["next"] == "meshctl vault unlock"
    return str(problem["message"])


def serves(home: Daemon, client: str) -> None:
    """MCP comes through to the child, which gets its secret."""
    answer = home.rpc("stdio", "tools/call", {"name": "echo", "arguments": {}}, key=client)
    assert (answer.status, "result" in answer.json()) == (200, True), answer.body
    (child,) = home.control("GET", "/v1/daemon")["children"]
    assert ENV in shown()[child["pid"]]
    assert home.tcp("GET", "/ready").status == 200


def test_a_locked_daemon_answers_what_helps_and_refuses_the_rest(home: Daemon) -> None:
    """The same typed error at every door, with the way out; then the source has the key again."""
    client, text = furnish(home)
    home.start()
    assert "no file" in locked_by(home)
    assert home.tcp("GET", "/health").status == 200
    refusals = [
        home.tcp("GET", "/ready"),
        home.tcp("GET", "/v1/whoami", key=client),
        home.tcp("GET", "/v1/status", key=client),
        home.tcp("GET", "/v1/vault", key=client),
        home.tcp("GET", "/nothing"),
        home.ask("GET", "/v1/whoami"),
        home.ask("GET", "/v1/connections"),
        home.ask("POST", "/v1/keys", {"no such": "field"}),
        home.ask("GET", "/v1/vault/verify"),
        home.ask("GET", "/v1/tail/events"),
        home.ask("GET", "/v1/nothing"),
    ]
    for answer in refusals:
        error = answer.json()["error"]
        assert (answer.status, error["code"]) == (503, "locked")
        assert error["next"] == "meshctl vault unlock"
    for answer in (
        home.rpc("stdio", "tools/list", key=client),
        home.rpc("stdio", "tools/list", key="wrong"),
        home.ask("POST", "/mcp/stdio", {"jsonrpc": "2.0", "id": 1, "method": "ping"}),
    ):
        error = answer.json()["error"]
        assert (answer.status, error["data"]["code"]) == (503, "locked")
        assert error["data"]["next"] == "meshctl vault unlock"
    assert home.control("GET", "/v1/daemon")["children"] == []
    put(home, text)
    opened = home.control("POST", "/v1/vault/unlock", {})
    assert (opened["state"], opened["by_hand"]) == ("open", False)
    assert opened["key_id"] == opened["needed"] == key_id(text)
    serves(home, client)
    assert home.control("GET", "/v1/status")["daemon"]["state"] == "running"
    lines = home.ask("GET", "/v1/tail/events?follow=false").body.splitlines()
    kinds = [json.loads(line)["type"] for line in lines if line.strip()]
    assert kinds.count("mesh.vault.unlocked") == 1


def test_the_commands_tell_of_it_and_open_it(home: Daemon) -> None:
    """`daemon start` succeeds; a wrong key is refused by its id; nothing of the right one stays."""
    client, text = furnish(home)
    started = meshctl(home, "daemon", "start", "--port", "0")
    try:
        assert started.code == 0
        assert "locked" in started.out
        assert "next: meshctl vault unlock" in started.err
        status = meshctl(home, "status", "--json")
        assert status.code == 0
        assert json.loads(status.out)["daemon"]["state"] == "locked"
        home.url = json.loads(status.out)["url"]
        home.socket = json.loads(status.out)["daemon"]["socket"]
        refused = meshctl(home, "connection", "list")
        assert (refused.code, "next: meshctl vault unlock" in refused.err) == (8, True)
        doctor = meshctl(home, "doctor")
        assert (doctor.code, "the vault is locked: There is no file" in doctor.out) == (1, True)
        vault = json.loads(meshctl(home, "vault", "status", "--json").out)
        assert (vault["state"], vault["key_id"], vault["needed"]) == ("locked", None, key_id(text))
        other = a_key()
        wrong = meshctl(home, "vault", "unlock", "--from-stdin", stdin=other)
        assert wrong.code == 8
        assert key_id(other) in wrong.err
        assert key_id(text) in wrong.err
        still = meshctl(home, "vault", "unlock")
        assert (still.code, "no file" in still.err) == (8, True)
        literal = meshctl(home, "vault", "unlock", text.strip())
        assert (literal.code, text.strip() in literal.err) == (2, False)
        nonsense = meshctl(home, "vault", "unlock", "env:KEY", KEY="nonsense")
        assert (nonsense.code, "nonsense" in nonsense.err) == (2, False)
        right = meshctl(home, "vault", "unlock", "env:KEY", KEY=text)
        assert (right.code, key_id(text) in right.out) == (0, True), right.err
        assert meshctl(home, "vault", "unlock").code == 0
        serves(home, client)
        assert "given by hand" in meshctl(home, "vault", "status").out
        files = [path for path in home.home.rglob("*") if path.is_file()]
        secret = text.strip().partition(":")[2].encode()
        assert [path for path in files if secret in path.read_bytes()] == []
        assert not key_file(home).exists()
    finally:
        assert meshctl(home, "daemon", "stop").code == 0
    kept = home.home / "elsewhere.txt"
    kept.write_text(text)
    home.start()
    assert "no file" in locked_by(home)
    assert meshctl(home, "vault", "unlock", f"@{kept}").code == 0
    serves(home, client)


def test_another_key_locks_and_is_named(home: Daemon) -> None:
    """A key that does not fit is never used, and no new one is made beside it."""
    _, text = furnish(home)
    other = a_key()
    put(home, other)
    home.start()
    reason = locked_by(home)
    assert key_id(other) in reason
    assert key_id(text) in reason
    error = home.ask("GET", "/v1/keys").json()["error"]
    assert (error["facts"]["key id"], error["facts"]["needed"]) == (key_id(other), key_id(text))
    assert key_file(home).read_text() == other


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [("nonsense", 0o600, "holds no master key"), (None, 0o644, "open to other users")],
)
def test_a_key_file_that_cannot_be_used_locks(
    home: Daemon, content: str | None, mode: int, said: str
) -> None:
    _, text = furnish(home)
    key_file(home).write_text(text if content is None else content)
    key_file(home).chmod(mode)
    home.start()
    assert said in locked_by(home)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo canary-stderr >&2; exit 3", "exit code 3"),
        ("echo nonsense", "is no master key"),
    ],
)
def test_a_first_start_with_a_command_that_fails_is_locked(
    home: Daemon, body: str, said: str
) -> None:
    """It says why, leaves no process, never falls through to the file, and opens when mended."""
    home.env["MESHCTL_MASTER_KEY_COMMAND"] = script(home, body)
    home.start()
    assert said in locked_by(home)
    log = (home.home / "logs/meshd.log").read_text()
    assert said in log
    assert "canary-stderr" not in log
    assert "with-argument" not in log
    assert not key_file(home).exists()
    told = meshctl(home, "daemon", "show").out + meshctl(home, "config", "list").out
    assert "with-argument" not in told
    text = a_key()
    script(home, f"echo '{text.strip()}'")
    opened = home.control("POST", "/v1/vault/unlock", {})
    assert (opened["source"]["name"], opened["key_id"]) == ("command", key_id(text))
    home.connect("stdio", *stdio_server.command(), env={"CANARY": ENV})
    home.stop()
    home.start()
    assert home.control("GET", "/v1/status")["daemon"]["state"] == "running"
    assert not key_file(home).exists()


def test_signals_work_while_it_is_locked(home: Daemon) -> None:
    """SIGHUP takes settings over, SIGTERM ends it at once, and `daemon stop` does."""
    furnish(home)
    home.start()
    (home.home / "config.json").write_text('{"allowed_hosts": "more.example"}')
    os.kill(home.pid, signal.SIGHUP)
    until(lambda: home.tcp("GET", "/health", Host="more.example").status == 200)
    assert home.stop() == 0
    home.start()
    assert home.control("POST", "/v1/daemon/stop")["pid"] == home.pid
    assert home.process is not None
    assert home.process.stderr is not None
    assert home.process.wait(timeout=10) == 0
    home.process.stderr.close()
    home.process = None


def test_attempts_are_few(home: Daemon) -> None:
    """Nobody tries many keys, and no command is run for ever."""
    _, text = furnish(home)
    home.start()
    answers = [home.ask("POST", "/v1/vault/unlock", {"key": a_key()}) for _ in range(12)]
    codes = [answer.json()["error"]["code"] for answer in answers]
    assert codes[:10] == ["locked"] * 10
    assert codes[11] == "rate_limited"
    assert home.ask("POST", "/v1/vault/unlock", {"key": text}).status == 429


def test_a_key_in_the_environment_works_with_a_warning(home: Daemon) -> None:
    """No child inherits it; the log and doctor say what is weak about it; a file is never made."""
    text = a_key()
    home.env["MESHCTL_MASTER_KEY"] = text.strip()
    home.start()
    home.connect("stdio", *stdio_server.command(), env={"CANARY": ENV})
    vault = home.control("GET", "/v1/vault")
    assert (vault["source"]["name"], vault["key_id"]) == ("environment", key_id(text))
    assert "/proc/PID/environ" in (home.home / "logs/meshd.log").read_text()
    checks = {c["check"]: c for c in json.loads(meshctl(home, "doctor", "--json").out)}
    assert checks["master key"]["state"] == "weak"
    assert not key_file(home).exists()
    home.stop()
    del home.env["MESHCTL_MASTER_KEY"]
    home.start()
    assert "no file" in locked_by(home)


def test_the_first_configured_source_wins_and_the_others_are_told_of(home: Daemon) -> None:
    """A credential of systemd stands before the file; its absence makes no new key."""
    _, text = furnish(home)
    folder = home.home / "credentials"
    folder.mkdir()
    (folder / "meshctl-master-key").write_text(text)
    put(home, a_key())
    home.env["CREDENTIALS_DIRECTORY"] = str(folder)
    home.start()
    vault = home.control("GET", "/v1/vault")
    assert (vault["state"], vault["source"]["name"]) == ("open", "credential")
    assert vault["source"]["passed_over"] == ["file"]
    assert "passed over: file" in (home.home / "logs/meshd.log").read_text()
    home.stop()
    (folder / "meshctl-master-key").write_text("nonsense")
    home.start()
    assert "is no master key" in locked_by(home)


KEYRING = '''
import json, os
from pathlib import Path
from keyring.backend import KeyringBackend
STORE = Path(__file__).with_name("entries.json")
class Pretended(KeyringBackend):
    """Keeps entries in a file, under the name of a keyring that is trusted."""
    priority = 1
    def get_password(self, service, name):
        return json.loads(STORE.read_text()).get(f"{service}/{name}") if STORE.exists() else None
    def set_password(self, service, name, value):
        STORE.write_text(json.dumps({f"{service}/{name}": value}))
Pretended.__module__, Pretended.__qualname__ = "keyring.backends.SecretService", "Keyring"
'''


def test_the_keyring_keeps_the_key_when_asked_to(home: Daemon) -> None:
    """The first start makes an entry; without it there is no second one; no file is made."""
    (home.home / "pretended.py").write_text(KEYRING)
    home.env |= {
        "MESHCTL_KEYRING": "1", "PYTHON_KEYRING_BACKEND": "pretended.Pretended",
        "PYTHONPATH": os.pathsep.join([str(home.home), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    home.start()
    vault = home.control("GET", "/v1/vault")
    assert (vault["state"], vault["source"]["name"]) == ("open", "keyring")
    entries = home.home / "entries.json"
    assert "meshctl-master-key-1:" in entries.read_text()
    home.stop()
    home.start()
    assert home.control("GET", "/v1/vault")["key_id"] == vault["key_id"]
    home.stop()
    entries.unlink()
    home.start()
    assert "has no entry" in locked_by(home)
    assert not key_file(home).exists()
    assert not entries.exists()


def test_a_keyring_that_is_none_locks(home: Daemon) -> None:
    """What the library falls back to keeps nothing, or keeps it readable."""
    home.env |= {"MESHCTL_KEYRING": "1", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    home.start()
    assert "keyring.backends.null.Keyring" in locked_by(home)
    assert not key_file(home).exists()
