"""`meshctl daemon …` as scripts use it; the daemon's program is a fake."""

import json
import signal
import subprocess
import sys

import pytest

from meshctl.client.start import meshd
from tests.meshctl.cli.process import environment, meshctl


def test_start_says_where_it_serves(fake_meshd):
    """The contract of scripts: four fields, the same for a daemon that runs already."""
    started = meshctl("daemon", "start", "--port", "0", "--json", home=fake_meshd)
    assert (started.code, started.err) == (0, "")
    answer = json.loads(started.out)
    assert answer.keys() == {"pid", "socket", "url", "version", "state"}
    again = meshctl("daemon", "start", "--json", home=fake_meshd)
    assert (again.code, json.loads(again.out)) == (0, answer)
    text = meshctl("daemon", "start", home=fake_meshd).out
    assert text == f"meshd 0.1.0 running  pid {answer['pid']}  {answer['url']}\n"


def test_start_on_another_port_is_a_conflict(fake_meshd):
    """Exit code 6, and the daemon stays where it is."""
    meshctl("daemon", "start", "--port", "4001", home=fake_meshd)
    ran = meshctl("daemon", "start", "--port", "4002", home=fake_meshd)
    assert (ran.code, ran.out) == (6, "")
    assert "url: http://127.0.0.1:4001" in ran.err


def test_start_that_fails_says_why(fake_meshd):
    """The daemon's own reason and its exit code."""
    ran = meshctl("daemon", "start", home=fake_meshd, FAKE="refuse")
    assert (ran.code, ran.err) == (6, "error: port 3000 is taken\n")


def test_foreground_is_the_daemon(fake_meshd):
    """The process itself becomes it, under the same pid."""
    process = subprocess.Popen(
        [sys.executable, "-m", "meshctl", "daemon", "start", "--foreground", "--port", "4001"],
        stderr=subprocess.PIPE,
        env=environment(fake_meshd),
    )
    assert process.stderr.readline() == b"starting\n"
    status = json.loads(meshctl("status", "--json", home=fake_meshd).out)
    assert status["daemon"]["pid"] == process.pid
    assert status["url"] == "http://127.0.0.1:4001"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_stop_waits_until_it_is_gone(fake_meshd):
    """And is content when none runs."""
    pid = json.loads(meshctl("daemon", "start", "--json", home=fake_meshd).out)["pid"]
    assert meshctl("daemon", "stop", home=fake_meshd) == (0, f"stopped meshd  pid {pid}\n", "")
    assert meshctl("daemon", "stop", home=fake_meshd) == (0, "meshd was not running\n", "")
    assert meshctl("daemon", "stop", "--json", home=fake_meshd).out == '{"pid":null}\n'
    assert meshctl("status", home=fake_meshd).code == 3


def test_restart_keeps_the_port(fake_meshd):
    """Another process, the same address."""
    before = json.loads(meshctl("daemon", "start", "--port", "4001", "--json", home=fake_meshd).out)
    after = json.loads(meshctl("daemon", "restart", "--json", home=fake_meshd).out)
    assert after["pid"] != before["pid"]
    assert after["url"] == "http://127.0.0.1:4001"


def test_a_command_starts_the_daemon(fake_meshd):
    """Any command that needs one, but not those that only look."""
    for argv in (
        ["status"],
        ["doctor"],
        ["version"],
        ["help"],
        ["daemon", "show"],
        ["daemon", "logs"],
    ):
        meshctl(*argv, home=fake_meshd, FAKE_SAYS="[]")
        assert not fake_meshd.socket.exists()
    meshctl("key", "list", home=fake_meshd)
    assert meshctl("status", "--quiet", home=fake_meshd).out == "running\n"


def test_logs(fake_meshd):
    """The last lines of the file, without a daemon; none is no error."""
    empty = meshctl("daemon", "logs", home=fake_meshd)
    assert (empty.code, empty.out) == (0, "")
    assert "nothing yet" in empty.err
    fake_meshd.prepare()
    fake_meshd.log.write_text("one\ntwo \x1b[2J\nthree\n")
    assert meshctl("daemon", "logs", home=fake_meshd).out == "one\ntwo \\x1b[2J\nthree\n"
    assert meshctl("daemon", "logs", "--lines", "1", home=fake_meshd).out == "three\n"
    assert meshctl("daemon", "logs", "--lines", "0", home=fake_meshd).out == ""
    assert (
        meshctl("daemon", "logs", "--lines", "1", "--json", home=fake_meshd).out
        == '{"line":"three"}\n'
    )


CHECKS = [
    {"check": "sqlite", "state": "pass", "note": "3.51.3"},
    {"check": "orphans", "state": "weak", "note": "2 left", "next": "meshctl daemon restart"},
]


@pytest.fixture
def doctor(fake_meshd):
    """Doctor's checks by their names, with its exit code."""

    def run(says=CHECKS, **environ):
        says = json.dumps(says) if not isinstance(says, str) else says
        ran = meshctl("doctor", "--json", home=fake_meshd, FAKE_SAYS=says, **environ)
        assert ran.err == ""
        return ran.code, {check["check"]: check for check in json.loads(ran.out)}

    return run


def test_doctor_without_a_daemon(doctor, fake_meshd):
    """It says so, checks what it can, and starts nothing."""
    code, checks = doctor()
    assert code == 0
    assert checks["daemon"]["state"] == "weak"
    assert checks["daemon"]["next"] == "meshctl daemon start"
    assert checks["python"]["state"] == checks["files"]["state"] == "pass"
    assert [checks["sqlite"], checks["orphans"]] == CHECKS
    assert not fake_meshd.socket.exists()


def test_doctor_with_a_daemon(doctor, fake_meshd):
    """Its version is compared, its problems are listed."""
    meshctl("daemon", "start", home=fake_meshd)
    _, checks = doctor()
    assert checks["daemon"]["state"] == checks["version"]["state"] == "pass"
    assert checks["connections"] == {"check": "connections", "state": "pass", "note": "none fails"}


def test_doctor_finds_open_files(doctor, fake_meshd):
    """A file that others may read fails it, by name, with the repair."""
    fake_meshd.prepare()
    loose = fake_meshd.root / "logs" / "loose"
    loose.touch(0o644)
    loose.chmod(0o644)
    code, checks = doctor()
    assert code == 1
    assert str(loose) in checks["files"]["note"]
    assert checks["files"]["next"] == f"chmod -R go= '{fake_meshd.text}'"
    loose.chmod(0o600)
    assert doctor()[0] == 0


@pytest.mark.parametrize(
    "says", ["nonsense", [{"check": "x"}], [{"check": "x", "state": "great", "note": ""}], "7"]
)
def test_doctor_when_the_daemons_program_fails(doctor, says):
    """One failed check that says how to see more; the others stand."""
    code, checks = doctor(says)
    assert code == 1
    assert checks["meshd"]["state"] == "fail"
    assert checks["meshd"]["next"].endswith("-m meshd doctor --json")
    assert "python" in checks


def test_doctor_as_text(fake_meshd):
    """A line a check, and a next step under what is not well."""
    ran = meshctl("doctor", home=fake_meshd, FAKE_SAYS=json.dumps(CHECKS))
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert any("sqlite" in line and "3.51.3" in line for line in lines)
    assert lines[-1] == "next: meshctl daemon restart"


def test_a_long_home_is_refused(fake_meshd):
    """No system would take the socket; the sentence says what to do."""
    from meshctl.client.home import Home

    long = Home(fake_meshd.at("x" * 100))
    ran = meshctl("daemon", "start", home=long)
    assert ran.code == 2
    assert "export MESHCTL_HOME=" in ran.err
    assert not long.root.exists()
    assert meshd()[0] == sys.executable
