"""`python -m tests.coverage [PYTEST ARGUMENT]…`: the suite once more, with each line that ran counted.

It counts in every process that the tests start, the daemons included; what is killed with SIGKILL
takes its count along, so the figures are a lower bound. Prints a row a package and the files that
are least covered.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOADED = "tests/rules/test_deferrals.py"
"""Looks at what a process has loaded, which the counting changes."""
LEAST = 15


def main(arguments: list[str]) -> int:
    """Run, count, print; pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="coverage-") as folder:
        settings = Path(folder) / "settings.ini"
        settings.write_text(
            f"[run]\nsource_pkgs = meshctl,meshd\nparallel = true\nsigterm = true\npatch = _exit\n"
            f"data_file = {folder}/data\ndisable_warnings = no-data-collected\n"
            f"omit = {ROOT}/daemon/meshd/example/*\n"
        )
        told = {"COVERAGE_PROCESS_START": str(settings)}
        tests = [sys.executable, "-m", "pytest", "--ignore", LOADED, *arguments]
        code = subprocess.run(tests, cwd=ROOT, env={**os.environ, **told}, check=False).returncode
        tool = [sys.executable, "-m", "coverage"]
        given = f"--rcfile={settings}"
        subprocess.run([*tool, "combine", "--quiet", given], cwd=ROOT, check=True)
        report = Path(folder) / "report.json"
        subprocess.run([*tool, "json", "--quiet", given, "-o", report], cwd=ROOT, check=True)
        print(_text(json.loads(report.read_text())["files"]))
    return code


def _text(files: dict[str, dict[str, dict[str, int]]]) -> str:
    """Lines that ran, of those there are: by package, in all, and the least covered files."""
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    shares = {}
    for name, found in files.items():
        if not name.startswith(("meshctl/", "daemon/")):
            continue  # a copy that a test made of the source
        ran, lines = found["summary"]["covered_lines"], found["summary"]["num_statements"]
        package = Path(name.removeprefix("daemon/")).parent.as_posix()
        for row in (package, "all of it"):
            counted[row][0] += ran
            counted[row][1] += lines
        if lines:
            shares[name] = 100 * ran / lines
    rows = [(f"{name:28}", ran, lines) for name, (ran, lines) in sorted(counted.items())]
    shown = [f"{name} {100 * ran / lines:5.1f} %  {lines:6}" for name, ran, lines in rows if lines]
    least = sorted(shares.items(), key=lambda entry: entry[1])[:LEAST]
    return "\n".join([*shown, "", "least:", *(f"{share:5.1f} %  {name}" for name, share in least)])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
