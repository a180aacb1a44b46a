"""Sizes, names and docstrings of the source."""

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.rules.sources import ROOT, Source, sources, words

FILE_LINES, FUNCTION_LINES = 500, 80
EMPTY_NAMES = {"util", "utils", "common", "helper", "helpers", "manager", "base", "misc"}
"""Names that say where a thing was put and not what it is."""


def _functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def shapeless(source: Source) -> Iterator[str]:
    """What is wrong with the shape of a module."""
    lines = len(source.text.splitlines())
    if lines > FILE_LINES:
        yield f"{source.name} has {lines} lines"
    for function in _functions(source):
        lines = (function.end_lineno or 0) - function.lineno + 1
        if lines > FUNCTION_LINES:
            yield f"{source.name}.{function.name} has {lines} lines"
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield f"{source.name} does not say what lives here"
    classes = [node.name for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    for name in (source.name, *classes):
        if empty := words(name) & EMPTY_NAMES:
            yield f"{source.name}: {name} is called {' '.join(empty)}"
    if any(isinstance(node, ast.Global) for node in ast.walk(source.tree)):
        yield f"{source.name} changes a global"


def test_the_source_is_in_shape():
    assert [flaw for source in sources() for flaw in shapeless(source)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("meshd.core.long", '"""Long."""\n' + "\n" * FILE_LINES),
        ("meshd.core.long", '"""Long."""\ndef f():\n' + "    f()\n" * FUNCTION_LINES),
        ("meshd.core.silent", "import os\n"),
        ("meshd.core.utils", '"""Things."""\n'),
        ("meshd.core.keys", '"""Keys."""\nclass KeyManager:\n    """Manages."""\n'),
        ("meshd.core.keys", '"""Keys."""\ndef f():\n    global x\n'),
    ],
)
def test_a_module_out_of_shape_is_found(name, text):
    assert len(list(shapeless(Source.of(name, text)))) == 1


def test_modules_of_tests_have_names_too():
    stems = {path.stem for path in (ROOT / "tests").rglob("*.py")}
    assert {stem for stem in stems if words(stem) & EMPTY_NAMES} == set()


def test_a_module_may_be_called_like_a_package_of_python_only_inside_a_package():
    """`meshd.wire.call` is fine; a top-level name of Python's would hide it from everybody."""
    tops = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert tops & sys.stdlib_module_names == set()
