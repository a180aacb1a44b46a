"""What stands where: the top level, the packages' tests, the wheel."""

import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.rules.sources import PACKAGES, ROOT

TOP = {
    ".ci", ".gitignore", "LICENSE", "README.md", "completions", "daemon", "man", "meshctl",
    "pyproject.toml", "tests",
}  # fmt: skip
LOCKS = {"uv.lock", "pylock.toml"}


def _kept(folder: Path) -> set[str]:
    """The names in a folder that git would keep."""
    patterns = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    names = {path.name for path in folder.iterdir()} - {".git"}
    return {
        name for name in names if not any(fnmatch(name, pattern.strip("/")) for pattern in patterns)
    }


def test_the_top_level_holds_what_a_newcomer_expects():
    assert _kept(ROOT) - LOCKS == TOP


def test_a_folder_that_git_ignores_is_not_looked_at(tmp_path):
    for name in (".venv", "node_modules", "notes"):
        (tmp_path / name).mkdir()
    assert _kept(tmp_path) == {"notes"}


def test_daemon_is_a_folder_and_no_package():
    """A package of that name would collide with python-daemon's."""
    assert _kept(ROOT / "daemon") == {"meshd", "systemd", "launchd", "container"}


OTHERS = {
    "bench": "what calls cost; a command, with a test that it runs",
    "conformance": "the official suite through the gateway; a command, with a short form in tests",
    "harness": "acceptance runs as commands, with a test of the short form of each",
    "meshctl/fake": "a meshd that fails as told, for what the client does then",
    "meshd/life": "the daemon as a whole: start, stop, crash, memory",
    "rules": "what holds for the source as a whole",
    "screens": "what commands and the dashboard show, as pictures of text",
    "sessions": "whole sessions of commands",
    "support": "what tests of several packages share",
}
"""Folders of tests that stand beside no package, and what is in them."""


def _packages() -> list[str]:
    return [
        f"{name}/{path.parent.name}"
        for name, root in PACKAGES.items()
        for path in sorted(root.glob("*/__init__.py"))
    ]


@pytest.mark.parametrize("package", _packages())
def test_every_package_has_its_tests_beside_its_name(package):
    assert list((ROOT / "tests" / package).glob("test_*.py")), f"tests/{package} has no test"


def test_every_folder_of_tests_has_its_package_or_its_reason():
    folders = {
        path.relative_to(ROOT / "tests").as_posix()
        for parent in (".", *PACKAGES)
        for path in (ROOT / "tests" / parent).iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }
    assert folders - {*PACKAGES, *_packages()} == set(OTHERS)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in the wheel that the build backend makes of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = (
        "import sys; from hatchling.builders.wheel import WheelBuilder\n"
        "print(*WheelBuilder(sys.argv[1]).build(directory=sys.argv[2], versions=['standard']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", build, str(ROOT), str(folder)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    with ZipFile(done.stdout.strip()) as archive:
        return archive.namelist()


def test_the_wheel_holds_both_packages_and_nothing_else(wheel):
    tops = {name.split("/")[0].partition("-")[0] for name in wheel}
    assert tops == {"meshctl", "meshd"}


def test_nothing_in_the_wheel_runs_by_itself(wheel):
    """A `.pth` file would run in every Python of the environment."""
    assert [name for name in wheel if name.endswith(".pth")] == []


def test_the_wheel_holds_the_files_beside_the_code(wheel):
    kept = {".sql", ".tcss"}
    beside = {
        f"{package}/{path.relative_to(root).as_posix()}"
        for package, root in PACKAGES.items()
        for path in root.rglob("*")
        if path.suffix in kept
    }
    assert beside, "there are queries at least"
    assert beside <= set(wheel)


def test_the_wheel_holds_the_templates_of_services(wheel):
    """Where `meshctl daemon install` looks for them first."""
    templates = {
        f"meshctl/cli/{folder}/{path.name}"
        for folder in ("systemd", "launchd")
        for path in (ROOT / "daemon" / folder).iterdir()
    }
    assert len(templates) == 3
    assert templates <= set(wheel)
