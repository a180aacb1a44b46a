"""README and the script of CI say the same two lines, so that what README promises was run."""

import re

import pytest

from tests.rules.sources import ROOT

LINES = (
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/meshctl quickstart",
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest",
)
"""From a clone to a call, and from a clone to the tests."""


def _fenced(text: str) -> set[str]:
    """The lines of the fenced blocks of a Markdown text."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return {line for block in blocks for line in block.splitlines()}


@pytest.mark.parametrize("line", LINES)
def test_readme_and_ci_have_the_same_line(line):
    assert line in _fenced((ROOT / "README.md").read_text(encoding="utf-8"))
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert line in {text.strip() for text in script.splitlines()}


def test_only_a_fenced_line_counts():
    assert _fenced("a\n```sh\nb\nc\n```\nd\n```\ne\n```\n") == {"b", "c", "e"}
