"""Removing an org: its keys stop, its processes end, and its secrets are closed for ever."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from meshd.vault.errors import NoKey, VaultError
from meshd.vault.master import load_or_create
from meshd.vault.vault import Vault
from tests.support import processes
from tests.support.daemon import Daemon
from tests.support.tenants import Tenant
from tests.support.wait import until

SECRET = "canary-of-the-removed-8d21"


@pytest.fixture
def team(daemon: Daemon) -> Tenant:
    """An org with a running server that has a secret, beside the default one."""
    made = Tenant.made(daemon, "team")
    made.connect("github", TOKEN=SECRET)
    return made


def rows(daemon: Daemon, file: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    link = sqlite3.connect(f"file:{daemon.home}/data/{file}?mode=ro", uri=True)
    try:
        return link.execute(sql, values).fetchall()
    finally:
        link.close()


def on_disk(daemon: Daemon) -> bytes:
    """Every byte of every file of the databases."""
    return b"".join(path.read_bytes() for path in sorted((daemon.home / "data").iterdir()))


def test_keys_stop_at_once_and_answer_as_unknown_ones(daemon: Daemon, team: Tenant) -> None:
    key = team.add_key("laptop")
    assert daemon.rpc("github", "tools/list", key=key).status == 200
    daemon.control("DELETE", "/v1/orgs/team")
    gone = daemon.rpc("github", "tools/list", key=key)
    never = daemon.rpc("github", "tools/list", key=key[:-4] + "aaaa")
    assert (gone.status, gone.body) == (never.status, never.body)
    assert gone.status == 401


def test_its_processes_end_and_those_of_others_stay(daemon: Daemon, team: Tenant) -> None:
    default = Tenant(daemon, "default", "")
    default.connect("github")
    pids = {child["pid"] for child in daemon.control("GET", "/v1/daemon")["children"]}
    mine = team.control("GET", "/v1/connections/github")
    assert len(pids) == 2
    assert mine["state"] == "ready"
    daemon.control("DELETE", "/v1/orgs/team")
    left = [c for c in daemon.control("GET", "/v1/daemon")["children"] if c["pid"]]
    assert len(left) == 1
    ended = (pids - {left[0]["pid"]}).pop()
    until(lambda: not processes.lives(ended))
    assert daemon.control("GET", "/v1/connections/github")["state"] == "ready"


def test_nothing_of_it_is_left_in_either_database(daemon: Daemon, team: Tenant) -> None:
    key = team.add_key("laptop")
    team.control("POST", "/v1/virtuals", {"name": "work", "children": ["github"]})
    for _ in range(3):
        daemon.rpc("github", "tools/call", {"name": "echo", "arguments": {}}, key=key)
    assert len(team.control("GET", "/v1/calls")) == 3
    daemon.control("DELETE", "/v1/orgs/team")
    owned = ("connections", "credentials", "definitions", "keys", "events", "data_keys")
    for table in (*owned, "virtuals", "virtual_children", "virtual_names"):
        sql = f"SELECT org_id FROM {table} WHERE org_id = ?"
        assert rows(daemon, "mesh.db", sql, team.id) == [], table
    assert rows(daemon, "calls.db", "SELECT id FROM calls WHERE org_id = ?", team.id) == []
    told = daemon.ask("GET", "/v1/tail/events?follow=false").body.splitlines()
    last = json.loads(told[-1])
    assert (last["type"], last["data"]["name"]) == ("mesh.org.removed", "team")


def test_a_copy_of_the_credentials_cannot_be_opened_any_more(daemon: Daemon, team: Tenant) -> None:
    """With the master key, the copied rows and all that is left on the disk: the data key is gone."""
    copied = rows(daemon, "mesh.db", "SELECT connection_id, kind, name, blob FROM credentials")
    keys = rows(daemon, "mesh.db", "SELECT org_id, version, wrapped FROM data_keys")
    wrapped = {org: (version, blob) for org, version, blob in keys}
    installation = rows(daemon, "mesh.db", "SELECT value FROM meta WHERE name = 'installation'")
    (connection, kind, name, blob), version_and_key = copied[0], wrapped[team.id]
    master = load_or_create(Path(daemon.home) / "keys" / "master.key")

    def opened(vault: Vault) -> str:
        return vault.open(team.id, "credentials", connection, f"{kind}:{name}", blob).reveal()

    whole = Vault(master, installation[0][0])
    whole.add_key(version_and_key[1], team.id, version_and_key[0])
    assert opened(whole) == SECRET, "with the data key it opens: the test knows how"

    assert version_and_key[1] in on_disk(daemon)
    daemon.control("DELETE", "/v1/orgs/team")
    assert version_and_key[1] not in on_disk(daemon), "not in the file, and not in its log"
    assert wrapped.keys() - {team.id}, "the other org has its own"
    left = Vault(master, installation[0][0])
    for org, version, key in rows(
        daemon, "mesh.db", "SELECT org_id, version, wrapped FROM data_keys"
    ):
        left.add_key(key, org, version)
        with pytest.raises(VaultError):
            left.add_key(key, team.id, version)  # another org's key is not taken for it
    with pytest.raises(NoKey):
        opened(left)


def test_who_follows_its_events_is_told(daemon: Daemon, team: Tenant) -> None:
    """The local owner's stream ends with the reason, and does not just fall silent."""
    import http.client
    import socket

    link = http.client.HTTPConnection("meshd", timeout=20)
    link.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.sock.settimeout(20)
    link.sock.connect(daemon.socket)
    link.request("GET", "/v1/tail/events?after=0", headers={"Meshctl-Org": "team"})
    stream = link.getresponse()
    assert b"meshseq" in stream.readline()
    daemon.control("DELETE", "/v1/orgs/team")
    last = [line for line in stream.read().splitlines() if line][-1]
    link.close()
    assert json.loads(last)["error"]["code"] == "not_found"


def test_the_last_org_stays(daemon: Daemon) -> None:
    refused = daemon.ask("DELETE", "/v1/orgs/default")
    assert refused.status == 409
    assert daemon.control("GET", "/v1/orgs")[0]["name"] == "default"


def test_the_first_org_may_go_and_the_daemon_starts_again(daemon: Daemon, team: Tenant) -> None:
    daemon.control("DELETE", "/v1/orgs/default")
    daemon.stop()
    daemon.start()
    assert daemon.control("GET", "/v1/status")["org"] == {"id": team.id, "name": "team"}
    shown = daemon.control("GET", "/v1/connections/github")
    assert shown["env"] == ["TOKEN"]
    daemon.control("POST", "/v1/connections/github/test")
