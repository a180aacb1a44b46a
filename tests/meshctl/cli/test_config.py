"""`meshctl config …` with the daemon's own program, while none runs and while one does."""

import json
import re

import pytest

from meshd.core.config import SETTINGS
from tests.meshctl.cli.process import meshctl


def test_list_without_a_daemon(home):
    """Every setting with its value and source; nothing is started or made."""
    ran = meshctl("config", "list", home=home, PORT="4000")
    assert (ran.code, ran.err) == (0, "")
    rows = {line.split()[0]: line for line in ran.out.splitlines()[1:]}
    assert list(rows) == [setting.env for setting in SETTINGS]
    assert rows["PORT"].split() == ["PORT", "4000", "environment"]
    assert rows["BASE_URL"].split() == ["BASE_URL", "-", "default"]
    assert not any(home.root.iterdir())


def test_list_as_json_and_from_files(home, tmp_path):
    """Where a value was said, to the line."""
    (home.root / "config.json").write_text('{\n"port": 1,\n"host": "::1"}')
    env = tmp_path / "x.env"
    env.write_text("PORT=2\n")
    ran = meshctl("config", "list", "--json", "--env-file", str(env), home=home)
    rows = {row["name"]: row for row in json.loads(ran.out)}
    assert (rows["PORT"]["value"], rows["PORT"]["source"]) == ("2", f"{env}:1")
    assert rows["HOST"]["source"] == f"{home.text}/config.json:3"


def test_get_prints_the_value_alone(home):
    """For scripts; the name in any case."""
    assert meshctl("config", "get", "host", home=home).out == "127.0.0.1\n"
    assert meshctl("config", "get", "BASE_URL", home=home).out == "\n"
    assert json.loads(meshctl("config", "get", "PORT", "--json", home=home).out)["live"] is False
    ran = meshctl("config", "get", "prot", home=home)
    assert (ran.code, ran.err) == (
        5,
        'error: there is no setting "prot"\nnext: meshctl config list\n',
    )


@pytest.mark.parametrize("command", [["config", "list"], ["daemon", "start"]])
def test_a_wrong_file_is_named(home, command):
    """Exit 2, file and line, from the list as from the start."""
    (home.root / "config.json").write_text('{\n"nonsense": 1}')
    ran = meshctl(*command, home=home)
    assert (ran.code, ran.out) == (2, "")
    assert f"file: {home.text}/config.json\n  line: 2\n" in ran.err


def test_the_daemons_program_fails(fake_meshd):
    """What it printed instead of an answer is told."""
    ran = meshctl("config", "list", home=fake_meshd, FAKE_SAYS="nonsense")
    assert (ran.code, ran.out) == (1, "")
    assert "meshd config failed" in ran.err


def test_settings_of_a_running_daemon(home, tmp_path):
    """Started with an env-file, which a restart keeps; `daemon show` has the values."""
    env = tmp_path / "x.env"
    env.write_text("MESHCTL_LOG_LEVEL=debug\n")
    try:
        ran = meshctl("daemon", "start", "--port", "0", "--env-file", str(env), home=home)
        assert ran.code == 0, ran.err
        line = rf"MESHCTL_LOG_LEVEL +debug \({re.escape(str(env))}:1\)"
        assert re.search(line, meshctl("daemon", "show", home=home).out)
        assert meshctl("daemon", "restart", home=home).code == 0
        assert re.search(line, meshctl("daemon", "show", home=home).out)
        assert meshctl("config", "get", "meshctl_log_level", home=home).out == "info\n"
    finally:
        meshctl("daemon", "stop", home=home)
