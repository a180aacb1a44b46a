"""Secrets go into the one request that needs them, and are found nowhere else."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshd.vault.key import Key
from meshd.vault.master import MasterKey, encode
from tests.support import fault, stdio_server
from tests.support.command import meshctl
from tests.support.daemon import Daemon
from tests.support.processes import shown
from tests.support.upstream import Upstream, upstream

HEADER = "canary-header-5b1f0c"
ENV = "canary-env-93ae71"
QUERY = "canary-query-c0442d"
PASSWORD = "canary-userinfo-77d0e2"
INHERITED = "canary-inherited-04bd22"
FROM_FILE = "canary-file-1fe2a9"
FROM_STDIN = "canary-stdin-a7c310"
FROM_ENV = "canary-env-name-6d01"
CANARIES = (HEADER, ENV, QUERY, PASSWORD, FROM_FILE, FROM_STDIN, FROM_ENV)
READING = (
    "status", "whoami", "connection list", "connection show http", "connection show typed",
    "connection show child", "key list", "key show client", "tool list", "call list",
    "event tail --no-follow", "call tail --no-follow", "config list", "daemon show",
    "daemon logs", "vault status", "vault verify", "doctor",
)  # fmt: skip
"""Every command that shows something."""


@dataclass
class Scene:
    """A daemon at debug level after a busy day, its upstream, and the keys it issued."""

    daemon: Daemon
    server: Upstream
    secrets: tuple[str, ...]
    masters: tuple[str, str]
    """The master key that a command printed, and one in the environment that is passed over."""
    answers: bytes
    """Everything that the control calls and the gateway answered."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("elsewhere")
    printed, given = (encode(MasterKey(Key.random())).decode().strip() for _ in range(2))
    (folder / "key").write_text(printed)
    daemon = Daemon.fresh(
        MESHCTL_LOG_LEVEL="debug", OPENAI_API_KEY=INHERITED, MESHCTL_MASTER_KEY=given,
        MESHCTL_MASTER_KEY_COMMAND=f"cat {folder / 'key'}",
    ).start(program=True)  # fmt: skip
    del daemon.env["MESHCTL_MASTER_KEY"]  # the commands below have no need of it
    with ExitStack() as stack:
        stack.callback(daemon.remove)
        server = stack.enter_context(upstream())
        keys, answers = live(daemon, server)
        answers += type_and_read(daemon, server, folder)
        secrets = (*CANARIES, *keys, printed, printed.partition(":")[2])
        yield Scene(daemon, server, secrets, (printed, given), answers)


def type_and_read(daemon: Daemon, server: Upstream, folder: Path) -> bytes:
    """Give secrets in each safe form of an option, and run every command that reads."""
    (folder / "secret").write_text(FROM_FILE + "\n")
    url = server.url
    ran = [
        meshctl(daemon, "connection", "add", "typed", url, "--header", f"X-Api-Key: @{folder / 'secret'}"),
        meshctl(daemon, "connection", "edit", "typed", "--header", "X-B: env:GIVEN", GIVEN=FROM_ENV),
        meshctl(
            daemon, "connection", "add", "child", "--env", "TYPED=@-", "--",
            *stdio_server.command(), stdin=FROM_STDIN,
        ),
        *(meshctl(daemon, *words.split(), "--json") for words in READING),
    ]  # fmt: skip
    failed = [(one.code, one.err) for one in ran if one.code not in {0, 1}]
    assert failed == []
    seen = [(one.header("X-Api-Key"), one.header("X-B")) for one in server.of("tools/list")]
    assert (FROM_FILE, FROM_ENV) in seen
    return "\n".join(one.out + one.err for one in ran).encode()


def live(daemon: Daemon, server: Upstream) -> tuple[list[str], bytes]:
    """Do what people do, also what goes wrong; the keys, and all that was answered."""
    answers: list[bytes] = []

    def ask(method: str, path: str, body: object = None) -> None:
        answers.append(daemon.ask(method, path, body).body)

    address = server.url.removeprefix("http://")
    url = f"http://user:{PASSWORD}@{address}?token={QUERY}"
    header = {"X-Api-Key": HEADER}
    ask("POST", "/v1/connections", {"name": "http", "url": url, "headers": header})
    nowhere = f"http://user:{PASSWORD}@127.0.0.1:1/mcp?token={QUERY}"
    ask("POST", "/v1/connections", {"name": "nowhere", "url": nowhere, "headers": header})
    bad = f"http://user:{PASSWORD}@127.0.0.1/mcp?token={QUERY}#x"
    ask("POST", "/v1/connections", {"name": "bad", "url": bad, "headers": header})
    ask("POST", "/v1/connections", {"name": "worse", "url": url, "headers": {"Host": HEADER}})
    ask("POST", "/v1/connections", {"name": "odd", "url": url, "headers": {"X-A": f"{HEADER}\n"}})
    env = {"CANARY": ENV}
    for name, words in (("stdio", ()), ("complains", ("complain",))):
        command = stdio_server.command(*words)
        ask("POST", "/v1/stdio-connections", {"name": name, "command": command, "env": env})
    ask("PATCH", "/v1/connections/http", {"headers": header})
    ask("PATCH", "/v1/stdio-connections/stdio", {"env": env})
    ask("PATCH", "/v1/stdio-connections/stdio", {"env": {"MESHCTL_X": ENV}})
    key = daemon.add_key("client")
    rotated = daemon.control("POST", "/v1/keys/client/rotate")["key"]
    for reply in (
        server.replies["tools/call"],
        fault.reset,
        fault.status("500 Oops"),
        fault.garbage(),
    ):
        server.replies["tools/call"] = reply
        for name in ("http", "nowhere", "stdio", "complains"):
            params = {"name": "echo", "arguments": {}}
            answers.append(daemon.rpc(name, "tools/call", params, key=rotated).body)
            ask("POST", f"/v1/connections/{name}/tools/echo/call")
            ask("POST", f"/v1/connections/{name}/test")
            answers.append(daemon.rpc(name, "ping", key=key).body)
    for path in (
        "status", "whoami", "daemon", "connections", "connections/http", "connections/stdio",
        "connections/complains", "connections/nowhere", "keys", "keys/client", "tools", "calls",
        "tail/events?follow=false", "tail/calls?follow=false", "connections/bad", f"keys/{key}",
    ):  # fmt: skip
        ask("GET", f"/v1/{path}")
    return [key, rotated], b"\n".join(answers)


def found_in(text: bytes, secrets: tuple[str, ...]) -> list[str]:
    """The secrets that the text holds."""
    return [secret for secret in secrets if secret.encode() in text]


def child(scene: Scene) -> int:
    """The process that runs with the secret in its environment."""
    children = scene.daemon.control("GET", "/v1/daemon")["children"]
    return int(next(c["pid"] for c in children if c["connection"] == "stdio"))


def test_the_upstream_got_what_it_needs(scene: Scene) -> None:
    """Header, query and userinfo arrive; the env does at the child. Else nothing here is shown."""
    seen = scene.server.of("tools/call")[-1]
    assert seen.header("X-Api-Key") == HEADER
    assert QUERY in seen.target
    assert str(seen.header("Authorization")).startswith("Basic ")
    assert ENV in shown()[child(scene)]


def test_no_answer_holds_a_secret(scene: Scene) -> None:
    """Not of list, show, edit, test or status, no event, no record, no error of any call."""
    assert b'"headers":["X-Api-Key"]' in scene.answers
    assert "?…".encode() in scene.answers
    assert found_in(scene.answers, scene.secrets) == []


def test_no_file_holds_a_secret(scene: Scene) -> None:
    """Databases with their logs, the log at debug level, whatever else is in the home."""
    files = [path for path in scene.daemon.home.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"mesh.db", "mesh.db-wal", "calls.db", "calls.db-wal", "meshd.log"} <= names
    assert {p: s for p in files if (s := found_in(p.read_bytes(), scene.secrets))} == {}


def test_no_process_shows_a_secret(scene: Scene) -> None:
    """Neither in its arguments nor in its environment, but for the child that was given it."""
    children = scene.daemon.control("GET", "/v1/daemon")["children"]
    given = {c["pid"]: c["connection"] for c in children}
    holders = {
        given.get(pid, pid): found
        for pid, text in shown().items()
        if (found := found_in(text.encode(), scene.secrets))
    }
    holders.pop("complains", None)  # comes and goes: it was given the same as the first
    assert holders == {"stdio": [ENV], "child": [FROM_STDIN]}


def test_a_master_key_in_the_environment_stays_there(scene: Scene) -> None:
    """The system keeps a process's first environment: the one place besides who set it."""
    _, given = scene.masters
    holders = [pid for pid, text in shown().items() if given in text]
    assert holders == [scene.daemon.pid]
    files = [path for path in scene.daemon.home.rglob("*") if path.is_file()]
    secret = given.partition(":")[2]
    assert [path for path in files if found_in(path.read_bytes(), (given, secret))] == []
    assert found_in(scene.answers, (given, secret)) == []


def test_the_master_key_was_that_of_the_command(scene: Scene) -> None:
    """So that its absence means something."""
    vault = scene.daemon.control("GET", "/v1/vault")
    assert (vault["source"]["name"], vault["source"]["place"]) == ("command", "cat")
    assert vault["source"]["passed_over"] == ["environment"]
    assert vault["orgs"][0]["sealed"]["credentials"] > 5


def test_the_log_is_at_debug_level_and_says_something(scene: Scene) -> None:
    """So that its silence about secrets means something."""
    log = (scene.daemon.home / "logs/meshd.log").read_text()
    assert "DEBUG" in log


def test_a_child_gets_nothing_of_the_daemons_environment(scene: Scene) -> None:
    """Not even a variable that the daemon was started with."""
    environment = shown()[child(scene)]
    assert f"CANARY={ENV}" in environment
    assert INHERITED in shown()[scene.daemon.pid]
    assert INHERITED not in environment
    assert "MESHCTL_HOME" not in environment


def test_stored_credentials_stay_with_their_origin(scene: Scene) -> None:
    """An edit that leads elsewhere takes no header along, and says which were dropped."""
    with upstream() as other:
        made = scene.daemon.connect_http("moving", scene.server.url, **{"X-Api-Key": HEADER})
        assert made["headers"] == ["X-Api-Key"]
        path = "/v1/connections/moving"
        edited = scene.daemon.control("PATCH", path, {"url": other.url})
        assert edited["dropped"] == ["X-Api-Key"]
        assert other.seen
        assert HEADER not in json.dumps([seen.headers for seen in other.seen])
