"""`meshctl client …`: entries in other programs' files, and the key that goes with them."""

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from meshd.wire.errors import Conflict, NotFound
from meshd.wire.key import KeyAdd, KeyEdit, KeyRef

DOCS = {
    "id": "conn_1",
    "name": "docs",
    "transport": "http",
    "url": "https://docs.example.com/mcp",
    "state": "ready",
    "created_at": "x",
}
OFF = {**DOCS, "id": "conn_2", "name": "off", "state": "disabled"}
KEY = {
    "id": "key_1",
    "name": "cursor",
    "prefix": "mesh_ab12",
    "last_four": "9x2k",
    "permissions": {},
    "grants": ["docs"],
    "owner": "owner",
    "created_at": "x",
}
TEAM = {
    "id": "vir_1", "name": "team", "description": "", "mode": "passthrough", "naming": "prefixed",
    "enabled": True, "children": [], "tools": 0, "maker": "owner", "owner": "owner",
    "created_at": "x",
}  # fmt: skip
OTHER = {"mcpServers": {"mine": {"command": "uvx", "args": ["mine"]}}}


@pytest.fixture
def daemon(scripted, tmp_path, monkeypatch):
    """A daemon with a connection that is on and one that is off, and keys that are kept."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "meshctl").touch()
    scripted.environ["HOME"] = str(tmp_path)
    keys = {}

    def add(request):
        if request.name in keys:
            return Conflict("it exists")
        keys[request.name] = {**KEY, "id": f"key_{len(keys) + 1}", "name": request.name}
        return {**keys[request.name], "key": "mesh_thesecret"}

    def find(request):
        return next(
            (key for key in keys.values() if request.key in {key["id"], key["name"]}),
            NotFound("no such key"),
        )

    def revoke(request):
        found = find(request)
        return found if isinstance(found, NotFound) else keys.pop(found["name"])

    scripted.keys = keys
    scripted.answers |= {
        "connection.list": [DOCS, OFF],
        "connection.show": lambda request: {**DOCS, "name": request.connection},
        "key.add": add,
        "key.show": find,
        "key.edit": find,
        "key.revoke": revoke,
    }
    return scripted


@pytest.fixture
def file(tmp_path):
    """Cursor's file, which has a server of its own."""
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps(OTHER))
    return path


def asked(daemon, name):
    """The requests of one call."""
    return [asks for row, asks in daemon.asked if row == name]


def entry(tmp_path, daemon, name, key="cursor"):
    """What an entry must be."""
    return {
        "command": str(tmp_path / "bin" / "meshctl"),
        "args": ["stdio", name, "--key", key],
        "env": {"MESHCTL_HOME": daemon.home.text},
    }


def test_a_virtual_mcp_is_given_by_its_name_too(daemon, tmp_path, file):
    """What is no connection may be one; what is neither is not found."""
    daemon.answers |= {
        "connection.show": lambda _: NotFound("there is no connection"),
        "virtual.show": lambda request: (
            TEAM if request.virtual == "team" else NotFound("nor a virtual MCP")
        ),
    }
    code, _, _ = daemon.run("client", "install", "cursor", "team", "--file", str(file), "--yes")
    assert code == 0
    servers = json.loads(file.read_text())["mcpServers"]
    assert servers["team"] == entry(tmp_path, daemon, "team")
    assert asked(daemon, "key.add") == [KeyAdd(name="cursor", allow=["team"])]
    code, _, err = daemon.run("client", "install", "cursor", "none", "--file", str(file), "--yes")
    assert (code, "there is no connection" in err) == (5, True)


def test_install_and_uninstall(daemon, tmp_path, file):
    """Entries without a secret beside what is there, a key for exactly that; and all of it back."""
    before = file.read_bytes()
    code, out, err = daemon.run("client", "install", "cursor", "--file", str(file), "--yes")
    assert (code, out) == (0, f'docs in {file}, as key "cursor"\n')
    servers = json.loads(file.read_text())["mcpServers"]
    assert servers == {**OTHER["mcpServers"], "docs": entry(tmp_path, daemon, "docs")}
    assert asked(daemon, "key.add") == [KeyAdd(name="cursor", allow=["docs"])]
    assert "mesh_thesecret" not in out + err + file.read_text()
    code, out, err = daemon.run("client", "uninstall", "cursor", "--file", str(file), "--yes")
    assert (code, out) == (0, f"took docs out of {file}\n")
    assert file.read_bytes() == before
    assert asked(daemon, "key.revoke") == [KeyRef("key_1")]
    assert err == 'revoked key "cursor"\n'
    assert not list(daemon.home.clients.iterdir())


@pytest.mark.parametrize(
    ("terminal", "typed", "code"), [(False, "", 2), (True, "n\n", 1), (True, "y\n", 0)]
)
def test_it_asks_before_it_writes(daemon, file, terminal, typed, code):
    """What it would write is shown; without a yes there is no entry and no key."""
    before = file.read_bytes()
    words = ["client", "install", "cursor", "docs", "--file", str(file)]
    got, _, err = daemon.run(*words, terminal=terminal, stdin=typed)
    assert got == code
    assert "meshctl stdio docs --key cursor" in err
    assert (file.read_bytes() != before) is (code == 0)
    assert len(asked(daemon, "key.add")) == (1 if code == 0 else 0)


def test_uninstall_asks_too(daemon, file):
    """Somebody else's file is never changed unasked."""
    daemon.run("client", "install", "cursor", "--file", str(file), "--yes")
    before = file.read_bytes()
    assert daemon.run("client", "uninstall", "cursor", "--file", str(file))[0] == 2
    assert file.read_bytes() == before
    assert asked(daemon, "key.revoke") == []


def test_a_second_install_adds_to_the_first(daemon, tmp_path, file):
    """The key made here is allowed the further connection; nothing is made twice."""
    words = ["client", "install", "cursor", "--file", str(file), "--yes"]
    assert daemon.run(*words, "docs")[0] == 0
    assert daemon.run(*words, "papers", "papers")[0] == 0
    servers = json.loads(file.read_text())["mcpServers"]
    assert list(servers) == ["mine", "docs", "papers"]
    assert len(asked(daemon, "key.add")) == 1
    assert asked(daemon, "key.edit") == [KeyEdit(key="key_1", allow=["papers"])]


def test_a_key_made_by_hand_is_left_alone(daemon, tmp_path, file):
    """It is named in the entries, and neither changed nor revoked."""
    daemon.keys["own"] = {**KEY, "id": "key_9", "name": "own"}
    words = ["--file", str(file), "--yes"]
    _, _, err = daemon.run("client", "install", "cursor", "docs", "--key", "own", *words)
    assert 'key "own" was there before and stays as it is' in err
    servers = json.loads(file.read_text())["mcpServers"]
    assert servers["docs"] == entry(tmp_path, daemon, "docs", "own")
    daemon.run("client", "uninstall", "cursor", *words)
    assert (asked(daemon, "key.edit"), asked(daemon, "key.revoke")) == ([], [])
    assert "own" in daemon.keys


def test_the_key_lives_as_long_as_any_file_needs_it(daemon, tmp_path, file):
    """Two files of one client share the key; the last uninstall revokes it."""
    other = tmp_path / "other" / "mcp.json"
    for path in (file, other):
        assert daemon.run("client", "install", "cursor", "--file", str(path), "--yes")[0] == 0
    daemon.run("client", "uninstall", "cursor", "--file", str(file), "--yes")
    assert "cursor" in daemon.keys
    daemon.run("client", "uninstall", "cursor", "--file", str(other), "--yes")
    assert "cursor" not in daemon.keys
    assert not other.parent.exists()


def test_a_taken_name_changes_nothing(daemon, file):
    """An entry of somebody else stays, and the key made for nothing is revoked again."""
    before = file.read_bytes()
    words = ["client", "install", "cursor", "mine", "--file", str(file), "--yes"]
    code, out, err = daemon.run(*words)
    assert (code, out) == (1, "")
    assert "next: rename" in err
    assert file.read_bytes() == before
    assert daemon.keys == {}


def test_no_connection_to_give(daemon, file):
    """Nothing is asked and nothing written where there is nothing to give."""
    daemon.answers["connection.list"] = [OFF]
    code, _, err = daemon.run("client", "install", "cursor", "--file", str(file), "--yes")
    assert code == 5
    assert "next: meshctl connect NAME URL" in err


@pytest.mark.parametrize("words", [("install", "docs"), ("uninstall",)])
def test_a_file_that_only_its_client_may_write(daemon, tmp_path, words):
    """Claude Code rewrites its own as it runs; the command that has it do so is said."""
    own = tmp_path / ".claude.json"
    ours = entry(tmp_path, daemon, "docs", "claude-code")
    own.write_text(json.dumps({"mcpServers": {"docs": ours}}))
    before = own.read_bytes()
    verb, *rest = words
    code, _, err = daemon.run("client", verb, "claude-code", *rest, "--yes")
    assert (code, own.read_bytes(), daemon.keys) == (1, before, {})
    assert "only Claude Code itself may write" in err
    if verb == "uninstall":
        assert "next: claude mcp remove --scope user docs" in err
    else:
        line = shlex.split(err.partition("run: ")[2].partition("\n")[0])
        assert line[:6] == ["claude", "mcp", "add-json", "--scope", "user", "docs"]
        assert json.loads(line[6]) == {"type": "stdio", **ours}
        assert "next: meshctl add-key claude-code --allow docs" in err


def test_a_project_file_of_the_same_client(daemon, tmp_path):
    """What nobody else rewrites is written."""
    file = tmp_path / "project" / ".mcp.json"
    words = ["client", "install", "claude-code", "docs", "--file", str(file), "--yes"]
    assert daemon.run(*words)[0] == 0
    assert list(json.loads(file.read_text())["mcpServers"]) == ["docs"]


def test_vscode_is_told_that_it_is_a_program(daemon, tmp_path, monkeypatch):
    """Its servers stand under another member, with their type."""
    monkeypatch.setattr(sys, "platform", "linux")
    file = tmp_path / ".config" / "Code" / "User" / "mcp.json"
    file.parent.mkdir(parents=True)
    assert daemon.run("client", "install", "vscode", "docs", "--yes")[0] == 0
    ours = {"type": "stdio", **entry(tmp_path, daemon, "docs", "vscode")}
    assert json.loads(file.read_text()) == {"servers": {"docs": ours}}
    assert daemon.run("client", "uninstall", "vscode", "--yes")[0] == 0
    assert not file.exists()


def test_self_is_given_for_looking(daemon, file):
    """A key made for it changes nothing at the control plane; how to allow more is said."""
    words = ["client", "install", "cursor", "docs", "SELF", "--file", str(file), "--yes"]
    code, _, err = daemon.run(*words)
    assert (code, list(json.loads(file.read_text())["mcpServers"])) == (0, ["mine", "docs", "self"])
    looking = ["self/status", "self/whoami", "self/*.list", "self/*.show"]
    assert asked(daemon, "key.add") == [KeyAdd(name="cursor", allow=["docs", *looking])]
    assert "next: meshctl key edit cursor --allow self/CALL" in err


def test_an_unknown_client_is_wrong_use(daemon):
    """The ones there are stand in the sentence."""
    code, _, err = daemon.run("client", "install", "emacs")
    assert code == 2
    assert "claude-desktop" in err


def test_uninstall_of_nothing(daemon, file):
    """It is no error, and changes nothing."""
    before = file.read_bytes()
    code, out, _ = daemon.run("client", "uninstall", "cursor", "--file", str(file))
    assert (code, out) == (0, f"nothing of meshctl's in {file}\n")
    assert file.read_bytes() == before


def test_the_usual_home_needs_no_environment(daemon, tmp_path, file, monkeypatch):
    """MESHCTL_HOME is written only where the client's own environment would lead elsewhere."""
    usual = tmp_path / "state"
    monkeypatch.setenv("HOME", str(tmp_path))
    daemon.environ["XDG_STATE_HOME"] = str(usual)
    (usual / "meshctl").parent.mkdir()
    (usual / "meshctl").symlink_to(daemon.home.text)
    daemon.home.text = str(usual / "meshctl")
    monkeypatch.setattr(sys, "platform", "linux")
    words = ["client", "install", "cursor", "docs", "--file", str(file), "--yes", "--org", "acme"]
    assert daemon.run(*words)[0] == 0
    written = json.loads(file.read_text())["mcpServers"]["docs"]
    assert written["args"] == ["stdio", "docs", "--key", "cursor", "--org", "acme"]
    assert "env" not in written


def test_list(daemon, tmp_path):
    """Every client that is known, its file, and what of meshctl's is in it."""
    cursor = tmp_path / ".cursor" / "mcp.json"
    cursor.parent.mkdir()
    assert daemon.run("client", "install", "cursor", "docs", "--yes")[0] == 0
    (tmp_path / ".claude.json").write_text("{ not json")
    code, out, _ = daemon.run("client", "list", "--json")
    rows = {item["app"]: item for item in json.loads(out)}
    assert code == 0
    assert list(rows) == ["claude-desktop", "claude-code", "cursor", "vscode"]
    assert (rows["cursor"]["state"], rows["cursor"]["servers"]) == ("installed", ["docs"])
    assert rows["cursor"]["file"] == str(cursor)
    assert (rows["claude-code"]["state"], rows["vscode"]["state"]) == ("unreadable", "absent")
    assert "does not parse" in rows["claude-code"]["problem"]
    assert "● installed" in daemon.run("client", "list")[1]
    assert daemon.run("client", "list", "--quiet")[1].split() == list(rows)


def test_other_files_of_a_client_are_listed_and_named(daemon, tmp_path, file):
    """Where --file led is not forgotten: each has a row, and uninstall says which are left."""
    own = tmp_path / ".cursor" / "mcp.json"
    own.parent.mkdir()
    for words in (["docs"], ["papers", "--file", str(file)]):
        assert daemon.run("client", "install", "cursor", *words, "--yes")[0] == 0
    rows = json.loads(daemon.run("client", "list", "--json")[1])
    wired = [(row["file"], row["servers"]) for row in rows if row["app"] == "cursor"]
    assert wired == [(str(own), ["docs"]), (str(file), ["papers"])]
    err = daemon.run("client", "uninstall", "cursor", "--yes")[2]
    assert f"next: meshctl client uninstall cursor --file {file}\n" in err
    daemon.run("client", "uninstall", "cursor", "--file", str(file), "--yes")
    rows = json.loads(daemon.run("client", "list", "--json")[1])
    assert [row["state"] for row in rows if row["app"] == "cursor"] == ["absent"]


def test_without_the_program_there_is_no_entry(daemon, tmp_path, file, monkeypatch):
    """An entry that could not run is not written."""
    (tmp_path / "bin" / "meshctl").unlink()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    code, _, err = daemon.run("client", "install", "cursor", "docs", "--file", str(file), "--yes")
    assert code == 5
    assert "the program meshctl is not installed" in err
    assert json.loads(file.read_text()) == OTHER


def test_the_file_is_the_clients_own(daemon, tmp_path):
    """Without --file it is the client's; a client that was never started is not invented."""
    code, _, err = daemon.run("client", "install", "cursor", "docs", "--yes")
    assert code == 1
    assert "the client seems not to be installed" in err
    assert not Path(tmp_path, ".cursor").exists()
    assert daemon.keys == {}
