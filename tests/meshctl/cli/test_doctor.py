"""Doctor's checks as a table: what passes, what is weak, what fails."""

import pytest

from meshctl.cli import doctor
from meshctl.client.home import Home
from meshd.wire.errors import Denied


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 11, 0), "pass"), ((3, 13, 9), "pass"), ((3, 14, 0), "weak"), ((3, 10, 0), "weak")],
)
def test_python(version, state):
    """What the release is tested on passes."""
    assert doctor.python(version)["state"] == state


@pytest.mark.parametrize(
    ("name", "release", "state", "note"),
    [
        ("linux", "6.8.0-generic", "pass", "Linux"),
        ("linux", "5.15.0-microsoft-standard-WSL2", "pass", "WSL"),
        ("darwin", "23.1.0", "pass", "macOS"),
        ("win32", "10", "fail", "win32 is not supported"),
        ("freebsd14", "14.0", "fail", "freebsd14 is not supported"),
    ],
)
def test_platform(name, release, state, note):
    """Linux, macOS and WSL; the others are refused."""
    check = doctor.system(name, release)
    assert (check["state"], check["note"]) == (state, note)


def test_root_is_weak():
    """It works, and is not wise."""
    assert doctor.user(0)["state"] == "weak"
    assert doctor.user(1000)["state"] == "pass"


def test_files_names_a_few(home):
    """Three of many, and how many more; links do not count, what they point to does."""
    assert doctor.files(Home(home.at("none")))["state"] == "pass"
    assert doctor.files(home)["state"] == "pass"
    (home.root / "link").symlink_to("/etc/hosts")
    assert doctor.files(home)["state"] == "pass"
    for number in range(5):
        path = home.root / f"file{number}"
        path.touch()
        path.chmod(0o640)
    check = doctor.files(home)
    assert check["state"] == "fail"
    assert check["note"].endswith("and 2 more")


def test_a_daemon_that_refuses_is_a_failure(home):
    """Told from one that is not there."""

    def client():
        raise Denied("the daemon's socket belongs to somebody else")

    (check,) = doctor.daemon(client, home)
    assert check["state"] == "fail"
    assert "somebody else" in check["note"]


def test_problems_and_another_version(home):
    """Each problem is a failed check with the daemon's own next step."""

    class Client:
        def get(self, _path):
            problems = [{"message": "slack fails", "next": "meshctl connection test slack"}]
            return {"daemon": {"pid": 1, "version": "9.9.9"}, "problems": problems}

    checks = {check["check"]: check for check in doctor.daemon(Client, home)}
    assert checks["version"]["state"] == "weak"
    assert checks["version"]["next"] == "meshctl daemon restart"
    assert checks["problem"] == {
        "check": "problem",
        "state": "fail",
        "note": "slack fails",
        "next": "meshctl connection test slack",
    }
    assert "connections" not in checks
