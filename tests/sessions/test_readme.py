"""The README's tour is run as it stands, and what it shows is what comes out.

`MESHCTL_UPDATE_README=1` writes the outputs anew.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.terminal import on_terminal

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
MASKS = (
    (r"msh[a-z]_[0-9A-Za-z]{46}", "SECRET"),
    (r"msh[a-z]_[0-9A-Za-z]{8}…[0-9A-Za-z]{4}", "PREFIX"),
    (r"\bcall_[0-9a-f]{20}", "call_ID"),
    (r"\b(key|conn|evt|usr|org)_[a-z2-7]{16,20}", r"\1_ID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|[+-]\d\d:\d\d)", "INSTANT"),
    (r"\d{4}-\d\d-\d\d", "DAY"),
    (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    (r'("day_of_week": )"\w+"', r'\1"DAY"'),
    (r'("is_dst": )\w+', r"\1BOOL"),
    (r" *\b\d+(\.\d+)?(ms|s)\b( ago)?| *\bnow\b", " SPAN"),
    (r"pid \d+", "pid N"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r'("name": )"[^"]*"(}})', r'\1"USER"\2'),
    (r"\S+/bin/python\S*", "PYTHON"),
    (r"denied:[^\n{\"]*…", "denied:…"),
    (r"(?m)[ \t]+$", ""),
    (r" {2,}", "  "),
)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A person's home folder with nothing in it; what was started there is stopped."""
    made = Daemon.fresh()
    yield made
    on_terminal("meshctl daemon stop", _environ(made))
    made.remove()


def _environ(home: Daemon) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MESHCTL_", "XDG_", "PORT"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**kept, "HOME": str(home.home), "PATH": path, "NO_COLOR": "1", "USER": "you"}


def _sessions(text: str) -> list[tuple[str, str]]:
    """(command, output) of every prompt in the tour."""
    tour = text[text.index("<!-- tour -->") : text.index("<!-- /tour -->")]
    found = []
    for block in BLOCK.findall(tour):
        for part in re.split(r"(?m)^\$ ", block)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def _masked(text: str) -> str:
    for pattern, shown in MASKS:
        text = re.sub(pattern, shown, text)
    return text


def test_the_tour_prints_what_the_readme_shows(home: Daemon, tmp_path: Path) -> None:
    """Every command of the tour, in order, on a terminal, in a home with nothing in it."""
    text = README.read_text()
    seen: list[tuple[str, str]] = []
    port = "3000"
    for command, _ in _sessions(text):
        line = f"cd {tmp_path} && {command.replace('127.0.0.1:3000', f'127.0.0.1:{port}')}"
        output = on_terminal(line, _environ(home))
        if (found := re.search(r"127\.0\.0\.1:(\d+)", output)) is not None:
            port = found[1]
        output = output.replace(f"127.0.0.1:{port}", "127.0.0.1:3000")
        output = output.replace(str(home.home), "/home/you")
        seen.append((command, output if output.endswith("\n") or not output else output + "\n"))
    if os.environ.get("MESHCTL_UPDATE_README"):
        README.write_text(_rewritten(text, dict(seen)))
        return
    assert [(c, _masked(o)) for c, o in seen] == [(c, _masked(o)) for c, o in _sessions(text)]


def _rewritten(text: str, outputs: dict[str, str]) -> str:
    def block(match: re.Match[str]) -> str:
        commands = re.findall(r"(?m)^\$ (.*)$", match[1])
        return "```console\n" + "".join(f"$ {c}\n{outputs[c]}" for c in commands) + "```"

    start, end = text.index("<!-- tour -->"), text.index("<!-- /tour -->")
    return text[:start] + BLOCK.sub(block, text[start:end]) + text[end:]
