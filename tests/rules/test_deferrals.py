"""What each kind of process loads, seen in the process itself at its end.

An import costs start-up time and memory: the fast commands load nothing but our own code and the
cheap part of Python's, the other commands no more than what parses a command line, and the daemon
nothing that draws or parses text for people. How commands fare without a daemon, and which module
of ours each loads, is told in tests/meshctl/cli.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon

TELL = """
import json, sys
before = set(sys.modules)
def tell(path):
    open(path, 'w').write(json.dumps(sorted(set(sys.modules) - before)))
"""
CLIENT = TELL + "from meshctl.main import main; code = main(sys.argv[2:]); tell(sys.argv[1])"
# `Daemon` puts this before `python -m meshd ARGUMENTS`.
DAEMON = TELL + (
    "given, sys.argv = sys.argv, ['meshd', *sys.argv[5:]]\n"
    "from meshd.start import run; run(); tell(given[1])"
)

OURS = {"meshctl", "meshd"}
PARSING = {"typer", "shellingham", "typing_extensions", "annotated_doc", "msgspec"}
HEAVY = {"argparse", "asyncio", "dataclasses", "email", "http", "inspect", "logging", "ssl"}
"""Packages of Python's own that cost a good part of a bare interpreter's start."""


@pytest.fixture(scope="module")
def furnished(shared_daemon: Daemon) -> Daemon:
    """A daemon with something to show."""
    shared_daemon.connect("example", *stdio_server.command())
    shared_daemon.add_key("one")
    return shared_daemon


def _loaded(daemon: Daemon, told: Path, line: str) -> set[str]:
    """The top-level packages that a command loads, but ours."""
    subprocess.run(
        [sys.executable, "-c", CLIENT, str(told), *line.split()],
        env=daemon.environ, stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    return _packages(told) - OURS


def _packages(told: Path) -> set[str]:
    return {name.partition(".")[0] for name in json.loads(told.read_text())}


@pytest.mark.parametrize("line", ["status", "status --json", "stdio example"])
def test_a_fast_command_loads_the_cheap_part_of_python(furnished, tmp_path, line):
    loaded = _loaded(furnished, tmp_path / "told", line)
    assert loaded - sys.stdlib_module_names == set()
    assert loaded & HEAVY == set()


@pytest.mark.parametrize(
    "line",
    [
        "key list",
        "connection show example",
        "tool call example echo text=hi",
        "call list --json",
        "client list",
        "whoami",
    ],
)
def test_another_command_loads_what_parses_the_line(furnished, tmp_path, line):
    loaded = _loaded(furnished, tmp_path / "told", line)
    assert "typer" in loaded
    assert loaded - sys.stdlib_module_names <= PARSING
    assert "asyncio" not in loaded


def test_the_daemon_loads_nothing_for_people_and_no_models(tmp_path):
    """After it served a connection over TCP and a control call."""
    told = tmp_path / "told"
    daemon = Daemon.fresh()
    try:
        daemon.start(prefix=(sys.executable, "-c", DAEMON, str(told)))
        daemon.connect("example", *stdio_server.command())
        key = daemon.add_key("one")
        params = {"name": "echo", "arguments": {"text": "hi"}}
        assert daemon.rpc("example", "tools/call", params, key=key).status == 200
        assert daemon.control("GET", "/v1/calls")
        assert daemon.stop() == 0
    finally:
        daemon.remove()
    loaded = _packages(told)
    assert {"aiohttp", "msgspec"} <= loaded, "this is what a daemon that served loads"
    assert "aiohttp.client" not in json.loads(told.read_text()), "it is never a client of aiohttp's"
    assert loaded & {"typer", "textual", "rich", "mcp", "pydantic", "jinja2", "meshctl"} == set()
    assert loaded & {"opentelemetry", "requests", "google"} == set(), "nobody asked for traces"
    assert "asyncpg" not in loaded, "a daemon on SQLite has no need of it"
