"""`meshctl daemon install`: the files it writes, as the systems read them."""

import json
import plistlib
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meshctl.cli import unit
from meshctl.client.start import meshd
from tests.meshctl.cli.process import meshctl

ODD = '/o d/100%/$x/"q"/\\\\b'
SYSTEMD = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here (package systemd)"
)


@pytest.fixture
def config(tmp_path):
    """Where user units belong here."""
    return {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}


def place(config):
    return Path(config["XDG_CONFIG_HOME"]) / "systemd" / "user" / "meshd.service"


@pytest.mark.skipif(sys.platform == "darwin", reason="launchd's file is shown by --print below")
def test_install_and_uninstall(home, config):
    """Written whole, written again, removed; a second removal is content."""
    for _ in range(2):
        ran = meshctl("daemon", "install", home=home, **config)
        assert (ran.code, ran.out) == (0, f"wrote {place(config)}\n")
        assert "systemctl --user enable --now meshd" in ran.err
    assert f'Environment="MESHCTL_HOME={home.text}"' in place(config).read_text()
    assert [path.name for path in place(config).parent.iterdir()] == ["meshd.service"]
    ran = meshctl("daemon", "uninstall", "--json", home=home, **config)
    assert json.loads(ran.out) == {"path": str(place(config))}
    assert "systemctl --user disable" in ran.err
    assert not place(config).exists()
    ran = meshctl("daemon", "uninstall", "--json", home=home, **config)
    assert (ran.code, ran.out) == (0, '{"path":null}\n')


@pytest.mark.skipif(sys.platform == "darwin", reason="as above")
@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_a_file_of_somebody_else_is_left_alone(home, config, verb):
    place(config).parent.mkdir(parents=True)
    place(config).write_text("[Service]\n")
    ran = meshctl("daemon", verb, home=home, **config)
    assert ran.code == 6
    assert place(config).read_text() == "[Service]\n"


def test_print_writes_nothing(home, config):
    ran = meshctl("daemon", "install", "--print", home=home, **config)
    assert (ran.code, ran.err) == (0, "")
    assert "@" not in ran.out
    assert "-m" in ran.out
    assert not place(config).exists()


@pytest.mark.skipif(sys.platform == "darwin", reason="systemd's")
def test_the_system_unit_is_printed(home, config):
    """Alone on stdout, for `sudo tee`."""
    ran = meshctl("daemon", "install", "--system", home=home, **config)
    assert ran.code == 0
    assert ran.out == unit.system(meshd()).text
    assert "| sudo tee /etc/systemd/system/meshd.service" in ran.err


def units():
    environ = {"PATH": f"/usr/bin:{ODD}", "XDG_CONFIG_HOME": "/c"}
    return {
        "user": unit.user("linux", [*meshd(), ODD], ODD, environ),
        "system": unit.system(meshd()),
    }


@pytest.mark.parametrize("name", ["user", "system"])
def test_every_blank_of_a_template_is_filled(name):
    assert not re.search(r"@[A-Z]+@", units()[name].text)
    assert unit.MARK.strip("`") in units()[name].text


def test_words_are_quoted_for_systemd():
    """Spaces, quotes, backslashes, specifiers and variables stay what they are."""
    text = units()["user"].text
    inside = r"/o d/100%%/$x/\"q\"/\\\\b"
    assert f'Environment="MESHCTL_HOME={inside}"' in text
    assert f'"{inside.replace("$", "$$")}"\n' in text


@SYSTEMD
@pytest.mark.parametrize("name", ["user", "system"])
def test_systemd_takes_the_unit(name, tmp_path):
    """Nothing in it is unknown to the systemd here."""
    path = tmp_path / "meshd.service"
    path.write_text(units()[name].text)
    words = ["--user"] if name == "user" else []
    done = subprocess.run(
        ["systemd-analyze", *words, "verify", "--man=no", str(path)], capture_output=True, text=True,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert [line for line in done.stderr.splitlines() if "meshd.service" in line] == []


@SYSTEMD
def test_the_system_unit_is_confined(tmp_path):
    """The exposure that systemd computes is at most 3.0 of 10."""
    path = tmp_path / "meshd.service"
    path.write_text(units()["system"].text)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager", str(path)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)[1]) <= 3.0


def test_launchd_reads_the_agent():
    """The same facts in its own form."""
    made = unit.user("darwin", [*meshd(), "<&>"], ODD, {"PATH": "/a&b"})
    agent = plistlib.loads(made.text.encode())
    assert agent["ProgramArguments"] == [*meshd(), "<&>"]
    assert agent["EnvironmentVariables"] == {"MESHCTL_HOME": ODD, "PATH": "/a&b"}
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["Umask"] == stat.S_IRWXG | stat.S_IRWXO
    assert made.path.name == f"{agent['Label']}.plist"
