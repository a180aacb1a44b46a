"""The source of both packages as the rules read it: text, syntax tree, and the names it uses."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

ROOT = Path(__file__).parents[2]
PACKAGES = {"meshctl": ROOT / "meshctl", "meshd": ROOT / "daemon" / "meshd"}


class Source(NamedTuple):
    """One module: its dotted name (a package's is its folder's), its text and its tree.

    `used` has every dotted name in it, `called` those that are called, both written as what the
    imports make of them: after `import asyncio as a`, `a.sleep` is `asyncio.sleep`. An import is
    a use too, since what was imported may travel under any name.
    """

    name: str
    text: str
    tree: ast.Module
    used: frozenset[str]
    called: frozenset[str]

    @classmethod
    def of(cls, name: str, text: str) -> Self:
        tree = ast.parse(text)
        known = _imports(tree)
        used, called = set(known.values()), set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.Attribute):
                used.add(_resolved(_dotted(node), known))
            elif isinstance(node, ast.Call):
                called.add(_resolved(_dotted(node.func), known))
        return cls(name, text, tree, frozenset(used), frozenset(called))


@cache
def sources() -> tuple[Source, ...]:
    """Every module of both packages."""
    return tuple(
        Source.of(_module(package, path.relative_to(root)), path.read_text(encoding="utf-8"))
        for package, root in PACKAGES.items()
        for path in sorted(root.rglob("*.py"))
    )


def words(name: str) -> set[str]:
    """The words of a name: `HTTPSite_two` has http, site and two."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {part.lower() for part in parts}


def _module(package: str, path: Path) -> str:
    parts = [package, *path.with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module) -> dict[str, str]:
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                known[one.asname or one.name] = one.name
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                known[one.asname or one.name] = f"{node.module}.{one.name}"
    return known


def _dotted(node: ast.expr) -> str:
    """`a.b.c` for such a chain; what it begins with is `?` when that is no name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value) or '?'}.{node.attr}"
    return ""


def _resolved(name: str, known: dict[str, str]) -> str:
    head, dot, rest = name.partition(".")
    return f"{known.get(head, head)}{dot}{rest}"
