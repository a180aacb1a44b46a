"""Imports go down only, as the contracts in pyproject.toml say."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.sources import PACKAGES, ROOT

LINT = "from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

CLIENT = "the client's floors"
DAEMON = "the daemon's floors"
PLANTED = [
    (DAEMON, {"daemon/meshd/store/db.py": "import meshd.services.access"}),
    (DAEMON, {"daemon/meshd/gateway/gate.py": "import meshd.api.site"}),
    (DAEMON, {"daemon/meshd/attic/__init__.py": "# a package that has no floor"}),
    (CLIENT, {"meshctl/render/when.py": "import meshctl.cli.output"}),
    ("the client knows only the contract", {"meshctl/client/home.py": "import meshd.core.config"}),
    ("the daemon knows nothing of the client", {"daemon/meshd/core/log.py": "import meshctl.main"}),
    (
        "nobody imports the example",
        {"daemon/meshd/app/serving.py": "import meshd.example.__main__"},
    ),
    (
        "no circles",
        {
            "daemon/meshd/core/clock.py": "import meshd.core.tasks",
            "daemon/meshd/core/tasks.py": "import meshd.core.clock",
        },
    ),
]


def _lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages below `root`, whatever is installed."""
    path = f"import sys; sys.path[:0] = [{str(root)!r}, {str(root / 'daemon')!r}]\n"
    return subprocess.run(
        [sys.executable, "-c", path + LINT], cwd=root, capture_output=True, text=True
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The source and its contracts, to spoil."""
    for package in PACKAGES.values():
        shutil.copytree(
            package,
            tmp_path / package.relative_to(ROOT),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_go_down_only():
    done = _lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(("contract", "files"), PLANTED)
def test_an_import_that_goes_elsewhere_breaks_its_contract(copy, contract, files):
    for file, line in files.items():
        path = copy / file
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as text:
            text.write(f"\n{line}\n")
    done = _lint(copy)
    broken = [line for line in done.stdout.splitlines() if line.endswith(" BROKEN")]
    assert any(contract in line for line in broken), done.stdout + done.stderr
