"""The servers that the clients on this machine already have, read from their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshctl.desktop.apps import APPS, App
from meshctl.desktop.config_file import read_text
from meshctl.desktop.entries import read_entry
from meshctl.desktop.errors import DesktopError
from meshctl.desktop.jsonc_reader import JsoncError, parse
from meshctl.desktop.marker import is_own_entry
from meshctl.desktop.spec import ServerSpec


@dataclass(frozen=True, slots=True)
class Problem:
    """A file, or an entry of it, that could not be read; the sentence holds no credential."""

    path: Path
    sentence: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the clients' files hold: servers in the files' order, and what could not be read."""

    servers: tuple[ServerSpec, ...]
    problems: tuple[Problem, ...]


def find_servers(home: Path, platform: str, environ: Mapping[str, str], cwd: Path) -> Found:
    """Read every client's user-level files and the project files in `cwd`.

    Entries that are meshctl's own are left out. The same server in two files comes twice, each
    with its source. A missing file is nothing to report.
    """
    servers: list[ServerSpec] = []
    problems: list[Problem] = []
    seen: set[Path] = set()
    for app in APPS:
        for path in (*app.files(home, platform, environ), *app.project_files(cwd)):
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            _read_file(app, path, _shown(path, home), servers, problems)
    return Found(tuple(servers), tuple(problems))


def _read_file(
    app: App, path: Path, shown: str, servers: list[ServerSpec], problems: list[Problem]
) -> None:
    try:
        text = read_text(path)
        document = parse(text) if text and text.strip("\ufeff \t\r\n") else {}
    except DesktopError as error:
        problems.append(Problem(path, error.sentence))
        return
    except JsoncError as error:
        problems.append(Problem(path, f"{shown} does not parse: {error}"))
        return
    for place, held in _containers(app, document):
        source = f"{app.title} ({shown}{place})"
        if not isinstance(held, dict):
            problems.append(Problem(path, f'{shown}{place}: "{app.key}" is not an object'))
            continue
        for name, entry in held.items():
            if is_own_entry(entry):
                continue
            try:
                servers.append(read_entry(name, entry, source))
            except DesktopError as error:
                problems.append(Problem(path, f"{shown}{place}: {error.sentence}"))


def _containers(app: App, document: Any) -> Iterator[tuple[str, Any]]:
    """Yield each object of servers with its place; Claude Code has one for each project too."""
    if not isinstance(document, dict):
        yield "", None
        return
    if app.key in document:
        yield "", document[app.key]
    projects = document.get("projects") if app.id == "claude-code" else None
    if isinstance(projects, dict):
        for folder, project in projects.items():
            if isinstance(project, dict) and app.key in project:
                yield f", project {folder}", project[app.key]


def _shown(path: Path, home: Path) -> str:
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
