"""meshctl written into a client's file and taken out again, with nothing else touched."""

from __future__ import annotations

import json
import operator
import os
import stat
from pathlib import Path

import pytest

from meshctl.desktop import config_file
from meshctl.desktop.apps import APPS
from meshctl.desktop.jsonc import parse, set_member
from meshctl.desktop.wiring import WiringError, install, installed, uninstall

DESKTOP, _, CURSOR, _ = APPS
FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.json"))
assert len(FIXTURES) >= 9
WITH_SERVERS = [path for path in FIXTURES if b"mcpServers" in path.read_bytes()]
NOT_EMPTY = [path for path in FIXTURES if b":" in path.read_bytes()]
STEM = operator.attrgetter("stem")
ENTRIES = {
    "time": {"command": "/opt/meshctl", "args": ["stdio", "time", "--key", "cursor"]},
    "github-all": {"command": "/opt/meshctl", "args": ["stdio", "github-all", "--key", "cursor"]},
}
ONE = {"mesh": {"command": "/opt/meshctl", "args": ["stdio", "mesh"]}}
FOREIGN = {"command": "uvx", "args": ["mcp-server-time"]}


@pytest.fixture
def state(tmp_path):
    return tmp_path / "mesh" / "clients" / "cursor.json"


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "client"
    folder.mkdir()
    return folder / "mcp.json"


@pytest.fixture(params=FIXTURES, ids=STEM)
def fixture(request, file):
    """A client's file as found in the wild, put in place; returns its bytes."""
    original = request.param.read_bytes()
    file.write_bytes(original)
    return original


def servers(file):
    return parse(file.read_text("utf-8-sig")).get("mcpServers", {})


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def edit(file, path, name, value):
    """Another program adds a member, keeping the rest of the text."""
    with file.open(newline="", encoding="utf-8") as stream:
        text = stream.read()
    file.write_bytes(set_member(text, path, name, value).encode())


def names_free(fixture):
    """ENTRIES without a name that the fixture has."""
    return {name: value for name, value in ENTRIES.items() if f'"{name}"'.encode() not in fixture}


def test_install_then_uninstall_gives_every_byte_back(fixture, file, state):
    """Odd formatting, comments, BOM, CRLF and unknown keys included."""
    entries = names_free(fixture)
    before = {} if not fixture.strip() else servers(file)
    change = install(CURSOR, file, entries, state)
    assert change.added == tuple(entries)
    assert servers(file) == {**before, **entries}
    assert installed(CURSOR, file, state) == list(entries)
    assert uninstall(CURSOR, file, state).restored
    assert file.read_bytes() == fixture
    assert not state.exists()


@pytest.mark.parametrize("fixture", WITH_SERVERS, indirect=True, ids=STEM)
def test_without_the_ledger_the_text_edit_alone_gives_every_byte_back(fixture, file, state):
    """Where there were servers before, cutting the members is as exact as restoring."""
    install(CURSOR, file, names_free(fixture), state)
    state.unlink()
    change = uninstall(CURSOR, file, state)
    assert not change.restored
    assert file.read_bytes() == fixture


@pytest.mark.parametrize("fixture", NOT_EMPTY, indirect=True, ids=STEM)
def test_an_edit_in_between_stays(fixture, file, state):
    """Somebody adds a server and a setting: only meshctl's members vanish."""
    install(CURSOR, file, names_free(fixture), state)
    edit(file, ["mcpServers"], "added", FOREIGN)
    edit(file, [], "setting", True)
    assert uninstall(CURSOR, file, state).removed == tuple(names_free(fixture))
    by_hand = file.with_name("by-hand")
    by_hand.write_bytes(fixture)
    edit(by_hand, ["mcpServers"], "added", FOREIGN)
    edit(by_hand, [], "setting", True)
    assert file.read_bytes() == by_hand.read_bytes()


def test_an_edit_of_a_file_that_had_no_servers(file, state):
    """The key that was made for the entries goes with them, the edit stays."""
    file.write_text('{\n  "locale": "de"\n}\n')
    install(CURSOR, file, ENTRIES, state)
    edit(file, [], "theme", "dark")
    uninstall(CURSOR, file, state)
    assert file.read_text() == '{\n  "locale": "de",\n  "theme": "dark"\n}\n'


def test_a_comment_in_the_emptied_object_keeps_it(file, state):
    """What is somebody else's is not dropped with the key around it."""
    file.write_text("{}")
    install(CURSOR, file, ONE, state)
    file.write_text(file.read_text().replace('"mcpServers": {', '"mcpServers": { // mine'))
    uninstall(CURSOR, file, state)
    assert "// mine" in file.read_text()


@pytest.mark.parametrize("rewrite", [False, True], ids=["as written", "rewritten by the client"])
def test_a_file_that_was_not_there_goes_again(file, state, rewrite):
    """Also when the client has written the same content in its own style meanwhile."""
    install(CURSOR, file, ONE, state)
    assert mode(file) == 0o600
    if rewrite:
        file.write_text(json.dumps(parse(file.read_text()), indent=8))
    uninstall(CURSOR, file, state)
    assert not file.exists()
    assert file.parent.exists()


def test_a_missing_folder_is_made_only_on_request_and_goes_again(tmp_path, state):
    """The caller knows whether the client is installed."""
    file = tmp_path / "a" / "b" / "mcp.json"
    with pytest.raises(WiringError, match="seems not to be installed"):
        install(CURSOR, file, ONE, state)
    assert not state.exists()
    install(CURSOR, file, ONE, state, create=True)
    assert mode(tmp_path / "a") == 0o700
    assert servers(file) == ONE
    uninstall(CURSOR, file, state)
    assert not (tmp_path / "a").exists()


def test_a_made_folder_in_use_stays(tmp_path, state):
    """The client moved in after all."""
    file = tmp_path / "a" / "mcp.json"
    install(CURSOR, file, ONE, state, create=True)
    (tmp_path / "a" / "other").touch()
    uninstall(CURSOR, file, state)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]


def test_installing_twice_keeps_the_first_original(fixture, file, state):
    """The second time nothing is written; another entry later changes nothing about the original."""
    entries = names_free(fixture)
    install(CURSOR, file, entries, state)
    written, when = file.read_bytes(), file.stat().st_mtime_ns
    change = install(CURSOR, file, entries, state)
    assert not change.changed
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (written, when)
    install(CURSOR, file, ONE, state)
    assert installed(CURSOR, file, state) == [*entries, "mesh"]
    uninstall(CURSOR, file, state)
    assert file.read_bytes() == fixture


def test_an_edit_between_two_installs_is_not_undone(file, state):
    """The first original is stale by then; restoring it would lose somebody's server."""
    file.write_text('{\n  "mcpServers": {\n    "a": {}\n  }\n}\n')
    install(CURSOR, file, ENTRIES, state)
    edit(file, ["mcpServers"], "b", FOREIGN)
    install(CURSOR, file, ONE, state)
    assert uninstall(CURSOR, file, state).restored
    assert servers(file) == {"a": {}, "b": FOREIGN}


def test_own_entries_are_replaced(file, state):
    """A new path of meshctl after an upgrade, say."""
    install(CURSOR, file, ONE, state)
    moved = {"mesh": {"command": "/usr/bin/meshctl", "args": ["stdio", "mesh"]}}
    change = install(CURSOR, file, moved, state)
    assert (change.added, change.replaced) == ((), ("mesh",))
    assert servers(file) == moved


def test_a_foreign_name_is_never_overwritten(file, state):
    """The error names it, and nothing at all is written."""
    file.write_text(json.dumps({"mcpServers": {"time": FOREIGN}}))
    before = file.read_bytes()
    with pytest.raises(WiringError, match='Cursor already has a server "time"'):
        install(CURSOR, file, ENTRIES, state)
    assert file.read_bytes() == before
    assert not state.exists()


def test_an_entry_that_somebody_took_over_stays(file, state):
    """Edited into something else it is no longer meshctl's: neither replaced nor removed."""
    install(CURSOR, file, ENTRIES, state)
    edit(file, ["mcpServers"], "time", FOREIGN)
    assert installed(CURSOR, file, state) == ["github-all"]
    with pytest.raises(WiringError, match="not meshctl's"):
        install(CURSOR, file, ENTRIES, state)
    uninstall(CURSOR, file, state)
    assert servers(file) == {"time": FOREIGN}


def test_an_entry_of_another_shape_is_known_by_the_ledger(file, state):
    """A remote entry has no command line; what was written is remembered."""
    remote = {"mesh": {"url": "http://127.0.0.1:7400/mcp/time"}}
    file.write_text('{"mcpServers": {}}')
    install(CURSOR, file, remote, state)
    assert installed(CURSOR, file, state) == ["mesh"]
    edit(file, ["mcpServers"], "other", FOREIGN)
    uninstall(CURSOR, file, state)
    assert servers(file) == {"other": FOREIGN}


def test_a_link_stays_a_link(tmp_path, file, state):
    """Dotfile managers keep the real file elsewhere."""
    real = tmp_path / "dotfiles" / "cursor.json"
    real.parent.mkdir()
    real.write_text("{}")
    file.symlink_to(os.path.relpath(real, file.parent))
    assert install(CURSOR, file, ONE, state).file == real
    assert file.is_symlink()
    assert servers(real) == ONE
    uninstall(CURSOR, file, state)
    assert file.is_symlink()
    assert real.read_text() == "{}"


def test_mode_and_owner_stay(file, state):
    """A group-readable file stays one; its undo is private all the same."""
    file.write_text("{}")
    file.chmod(0o640)
    before = file.stat()
    install(CURSOR, file, ONE, state)
    after = file.stat()
    assert (after.st_uid, after.st_gid, mode(file)) == (before.st_uid, before.st_gid, 0o640)
    assert (mode(state), mode(state.parent), mode(state.parent.parent)) == (0o600, 0o700, 0o700)
    uninstall(CURSOR, file, state)
    assert mode(file) == 0o640


def test_a_foreign_owner_is_given_back(file, state, monkeypatch):
    """When root edits a person's file it still is that person's."""
    file.write_text("{}")
    given = []
    real = os.fstat
    monkeypatch.setattr(
        config_file.os, "fstat", lambda fd: os.stat_result((*real(fd)[:4], 4242, *real(fd)[5:10]))
    )
    monkeypatch.setattr(config_file.os, "fchown", lambda fd, uid, gid: given.append((uid, gid)))
    install(CURSOR, file, ONE, state)
    assert (file.stat().st_uid, file.stat().st_gid) in given


def test_a_failed_write_leaves_everything_as_it_was(file, state, monkeypatch):
    """No half file, no temporary file, no ledger of something that did not happen."""
    file.write_text("{}")

    def fail(*_):
        raise OSError(28, "No space left on device")

    real = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: fail() if to == file else real(self, to))
    with pytest.raises(WiringError, match="cannot be written: No space left"):
        install(CURSOR, file, ONE, state)
    assert file.read_text() == "{}"
    assert list(file.parent.iterdir()) == [file]
    assert not state.exists()


def test_the_bytes_are_on_disk_before_the_name_points_to_them(file, state, monkeypatch):
    """File, rename, folder: in this order, or a power cut can leave an empty file."""
    file.write_text("{}")
    events = []
    fsync, replace = os.fsync, Path.replace

    def sync(descriptor):
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def rename(self, to):
        events.append(to.name)
        return replace(self, to)

    monkeypatch.setattr(config_file.os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    install(CURSOR, file, ONE, state)
    assert events == ["file", "cursor.json", "folder", "file", "mcp.json", "folder"]


def test_a_change_at_the_same_moment_is_not_lost(file, state, monkeypatch):
    """The client writes between our reading and our writing: its text stays, we say so."""
    file.write_text("{}")
    real = os.fsync

    def meanwhile(descriptor):
        real(descriptor)
        if state.exists():
            file.write_text('{"theirs": 1}')

    monkeypatch.setattr(config_file.os, "fsync", meanwhile)
    with pytest.raises(WiringError, match="changed by another program"):
        install(CURSOR, file, ONE, state)
    assert file.read_text() == '{"theirs": 1}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"mcpServers": {', "does not parse: line 1, column 17"),
        ("[]", "the document is not an object"),
        ('{"mcpServers": []}', '"mcpServers" is not an object'),
        ('{"mcpServers": null}', '"mcpServers" is not an object'),
    ],
)
def test_a_file_that_is_no_configuration_is_left_alone(file, state, text, message):
    """Whatever it is, it is not ours to repair."""
    file.write_text(text)
    for attempt in (
        lambda: install(CURSOR, file, ONE, state),
        lambda: uninstall(CURSOR, file, state),
        lambda: installed(CURSOR, file, state),
    ):
        with pytest.raises(WiringError, match=message.replace("[", r"\[")):
            attempt()
    assert file.read_text() == text
    assert not state.exists()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"version": 2, "files": {}}', '{"version": 1, "files": {"/x": {}}}']
)
def test_a_damaged_ledger_says_how_to_go_on(file, state, text):
    """Moved away, entries are still known by their command line."""
    install(CURSOR, file, ONE, state)
    state.write_text(text)
    with pytest.raises(WiringError, match="is damaged") as caught:
        uninstall(CURSOR, file, state)
    assert caught.value.next == f"mv {state} {state}.damaged"
    state.rename(f"{state}.damaged")
    assert uninstall(CURSOR, file, state).removed == ("mesh",)


def test_uninstalling_nothing(file, state):
    """No file, a file without us, a file deleted since: none is an error."""
    assert not uninstall(CURSOR, file, state).changed
    file.write_text('{"mcpServers": {}}')
    assert not uninstall(CURSOR, file, state).changed
    install(CURSOR, file, ONE, state)
    file.unlink()
    assert not uninstall(CURSOR, file, state).changed
    assert not state.exists()
    assert installed(CURSOR, file, state) == []


def test_two_files_of_one_client(tmp_path, file, state):
    """Each has its own original; one undone leaves the other."""
    other = tmp_path / "other.json"
    file.write_text('{"a": 1}')
    other.write_text('{"b": 2}')
    install(CURSOR, file, ONE, state)
    install(CURSOR, other, ONE, state)
    uninstall(CURSOR, file, state)
    assert file.read_text() == '{"a": 1}'
    assert servers(other) == ONE
    uninstall(CURSOR, other, state)
    assert other.read_text() == '{"b": 2}'
