"""Where the daemon's files are, and which places are refused."""

import os
import stat
import sys

import pytest

from meshctl.client.home import SOCKET_BYTES, Home, check_length
from meshd.wire.errors import Usage


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"MESHCTL_HOME": "/tmp/m"}, "/tmp/m"),
        ({"MESHCTL_HOME": "~/m"}, "/home/ada/m"),
        ({"MESHCTL_HOME": "/tmp/m", "XDG_STATE_HOME": "/x"}, "/tmp/m"),
        ({"XDG_STATE_HOME": "/x/state"}, "/x/state/meshctl"),
        ({"XDG_STATE_HOME": "not/absolute"}, "/home/ada/.local/state/meshctl"),
        ({}, "/home/ada/.local/state/meshctl"),
    ],
)
def test_find_on_linux(environ, root, monkeypatch):
    """MESHCTL_HOME, then the state folder of the XDG specification."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", "/home/ada")
    assert str(Home.find(environ).root) == root


def test_find_on_macos(monkeypatch):
    """The application support folder; XDG has no say."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("HOME", "/Users/ada")
    found = Home.find({"XDG_STATE_HOME": "/x"})
    assert str(found.root) == "/Users/ada/Library/Application Support/meshctl"


def test_a_relative_home_is_fixed_at_once(monkeypatch, tmp_path):
    """The daemon works elsewhere, and must find the same folder."""
    monkeypatch.chdir(tmp_path)
    assert Home.find({"MESHCTL_HOME": "m"}).root == tmp_path / "m"


def test_everything_lies_in_it():
    """The names that both sides agree on."""
    home = Home("/h")
    paths = [home.socket, home.lock, home.log, home.clients, home.keys]
    assert list(map(str, paths)) == [
        "/h/meshd.sock", "/h/meshd.lock", "/h/logs/meshd.log", "/h/clients", "/h/keys",
    ]  # fmt: skip


def test_folders_are_made_for_this_user_alone(home):
    """Whatever the umask says; a folder that is there is left as it is."""
    inner = Home(home.at("deep", "er"))
    before = os.umask(0)
    try:
        inner.prepare()
        inner.prepare()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (inner.root, inner.log.parent)]
    assert modes == [0o700, 0o700]


@pytest.mark.parametrize("extra", [0, 1])
def test_a_long_socket_path_is_refused(extra):
    """Bytes count, not characters; the sentence says what to do."""
    path = "/" + "ü" * ((SOCKET_BYTES - 2) // 2) + "x" * (1 + extra)
    if not extra:
        check_length(path)
        return
    with pytest.raises(Usage) as refused:
        check_length(path)
    assert "101 bytes" in refused.value.message
    assert refused.value.next.startswith("export MESHCTL_HOME=")
