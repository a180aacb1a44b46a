"""Where the clients keep their servers, and what is found there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meshctl.desktop.apps import APPS
from meshctl.desktop.found import find_servers
from meshctl.desktop.marker import is_own_entry

BY_ID = {app.id: app for app in APPS}
UVX = {"command": "uvx", "args": ["x-mcp"]}


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    (folder / "work").mkdir(parents=True)
    return folder


def put(path: Path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")


def find(home, environ=None, cwd=None):
    return find_servers(home, "linux", environ or {}, cwd or home / "work")


@pytest.mark.parametrize(
    ("app", "platform", "environ", "files"),
    [
        ("claude-desktop", "linux", {}, ["/h/.config/Claude/claude_desktop_config.json"]),
        (
            "claude-desktop",
            "linux",
            {"XDG_CONFIG_HOME": "/x"},
            ["/x/Claude/claude_desktop_config.json"],
        ),
        (
            "claude-desktop",
            "linux",
            {"XDG_CONFIG_HOME": "x"},
            ["/h/.config/Claude/claude_desktop_config.json"],
        ),
        (
            "claude-desktop",
            "darwin",
            {"XDG_CONFIG_HOME": "/x"},
            ["/h/Library/Application Support/Claude/claude_desktop_config.json"],
        ),
        ("claude-code", "linux", {}, ["/h/.claude.json"]),
        ("claude-code", "darwin", {"CLAUDE_CONFIG_DIR": "/c"}, ["/c/.claude.json"]),
        ("cursor", "darwin", {}, ["/h/.cursor/mcp.json"]),
        (
            "vscode",
            "linux",
            {},
            ["/h/.config/Code/User/mcp.json", "/h/.config/Code - Insiders/User/mcp.json"],
        ),
        (
            "vscode",
            "darwin",
            {},
            [
                "/h/Library/Application Support/Code/User/mcp.json",
                "/h/Library/Application Support/Code - Insiders/User/mcp.json",
            ],
        ),
    ],
)
def test_user_files(app, platform, environ, files):
    """Each client's own rule for each platform."""
    assert list(map(str, BY_ID[app].files(Path("/h"), platform, environ))) == files


def test_servers_of_all_clients_come_with_their_source(home):
    """User files and project files, Claude Code's projects included."""
    put(home / ".config/Claude/claude_desktop_config.json", {"mcpServers": {"desk": UVX}})
    put(
        home / ".claude.json",
        {
            "mcpServers": {"top": UVX},
            "projects": {"/p/a": {"mcpServers": {"inner": UVX}}, "/p/b": {}},
        },
    )
    put(
        home / ".cursor/mcp.json",
        '// mine\n{"mcpServers": {"cur": {"url": "https://h.example/mcp"},},}',
    )
    put(home / ".config/Code/User/mcp.json", {"servers": {"code": UVX}, "inputs": []})
    put(home / "work/.mcp.json", {"mcpServers": {"project": UVX}})
    put(home / "work/.cursor/mcp.json", {"mcpServers": {"cur-project": UVX}})
    put(home / "work/.vscode/mcp.json", {"servers": {"code-project": UVX}})
    found = find(home)
    assert found.problems == ()
    assert {spec.name: spec.source for spec in found.servers} == {
        "desk": "Claude Desktop (~/.config/Claude/claude_desktop_config.json)",
        "top": "Claude Code (~/.claude.json)",
        "inner": "Claude Code (~/.claude.json, project /p/a)",
        "project": "Claude Code (~/work/.mcp.json)",
        "cur": "Cursor (~/.cursor/mcp.json)",
        "cur-project": "Cursor (~/work/.cursor/mcp.json)",
        "code": "VS Code (~/.config/Code/User/mcp.json)",
        "code-project": "VS Code (~/work/.vscode/mcp.json)",
    }


def test_nothing_anywhere(home):
    """No client, no problem."""
    found = find(home)
    assert (found.servers, found.problems) == ((), ())


def test_a_file_is_read_once(home):
    """In the home folder Cursor's project file is its user file."""
    put(home / ".cursor/mcp.json", {"mcpServers": {"cur": UVX}})
    assert [spec.name for spec in find(home, cwd=home).servers] == ["cur"]


def test_one_bad_file_or_entry_costs_only_itself(home):
    """What cannot be read is reported with its place; the rest is found."""
    put(home / ".cursor/mcp.json", '{"mcpServers": {\n  "a" 1}}')
    put(
        home / ".config/Code/User/mcp.json",
        {"servers": {"bad": {"type": "ws", "url": "https://h"}, "good": UVX}},
    )
    put(home / ".claude.json", {"mcpServers": []})
    put(home / "work/.mcp.json", "[]")
    (home / "work/.vscode").mkdir()
    (home / "work/.vscode/mcp.json").write_bytes(b'{"servers": "\xff"}')
    (home / ".config/Claude/claude_desktop_config.json").mkdir(parents=True)
    put(home / "work/.cursor/mcp.json", "\n")
    found = find(home)
    assert [spec.name for spec in found.servers] == ["good"]
    assert {
        str(one.path.relative_to(home)): one.sentence.replace(str(home), "~")
        for one in found.problems
    } == {
        ".cursor/mcp.json": '~/.cursor/mcp.json does not parse: line 2, column 7: ":" is missing before "1"',
        ".config/Code/User/mcp.json": "~/.config/Code/User/mcp.json: \"bad\" has the type 'ws', which is not spoken here",
        ".claude.json": '~/.claude.json: "mcpServers" is not an object',
        "work/.mcp.json": '~/work/.mcp.json: "mcpServers" is not an object',
        "work/.vscode/mcp.json": "~/work/.vscode/mcp.json is not UTF-8",
        ".config/Claude/claude_desktop_config.json": (
            "~/.config/Claude/claude_desktop_config.json cannot be read: Is a directory"
        ),
    }


OWN = [
    {"command": "/opt/bin/meshctl", "args": ["stdio", "time", "--key", "cursor"]},
    {"command": "meshctl", "args": ["stdio"]},
    {"command": "/usr/bin/python3", "args": ["-m", "meshctl", "stdio", "time"]},
    {"command": "uvx", "args": ["meshctl", "stdio", "time"], "env": {"A": "b"}},
]
FOREIGN = [
    {"command": "meshctl", "args": ["status"]},
    {"command": "/opt/meshctl/server", "args": ["stdio"]},
    {"command": "npx", "args": ["other", "stdio"]},
    {"command": "meshctl"},
    {"url": "http://127.0.0.1:1/mcp"},
    {"command": 1, "args": ["meshctl", "stdio"]},
    None,
]


@pytest.mark.parametrize("entry", OWN)
def test_own_entries_are_left_out(home, entry):
    """Adopting a bridge to meshd into meshd would be a loop."""
    assert is_own_entry(entry)
    put(home / ".cursor/mcp.json", {"mcpServers": {"ours": entry, "theirs": UVX}})
    assert [spec.name for spec in find(home).servers] == ["theirs"]


@pytest.mark.parametrize("entry", FOREIGN)
def test_foreign_entries_are_not_taken_for_own(entry):
    """Only an argv that runs `meshctl stdio` is one."""
    assert not is_own_entry(entry)


def test_credentials_stay_out_of_problems(home):
    """A broken entry is described without its values."""
    put(
        home / ".cursor/mcp.json",
        {"mcpServers": {"a": {"command": "x", "args": ["SECRET", []], "env": {"K": "SECRET"}}}},
    )
    found = find(home)
    assert len(found.problems) == 1
    assert "SECRET" not in repr(found)


def test_the_package_stays_light():
    """A fast CLI imports this: nothing of meshd, nothing third-party, no network, no asyncio."""
    script = (
        "import sys, importlib, pkgutil, meshctl.desktop as d\n"
        "for m in pkgutil.iter_modules(d.__path__): importlib.import_module(f'meshctl.desktop.{m.name}')\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    run = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            "import sys; sys.path.insert(0, sys.argv[1])\n" + script,
            str(Path(__file__).parents[3]),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(run.stdout.split())
    assert (
        loaded
        & {
            "meshd",
            "typer",
            "rich",
            "msgspec",
            "aiohttp",
            "asyncio",
            "socket",
            "tempfile",
            "subprocess",
        }
        == set()
    )
    assert loaded - sys.stdlib_module_names - {"__main__", "meshctl"} == set()
