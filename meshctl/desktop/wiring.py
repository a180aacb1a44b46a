"""meshctl's entries in a client's configuration file: written, listed, and taken out again.

An entry is meshctl's if it runs `meshctl stdio` (`marker`) or is, unchanged, what the ledger says
was written. Everything else in the file belongs to somebody else and stays as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshctl.desktop import ledger
from meshctl.desktop.apps import App
from meshctl.desktop.config_file import make_folder, read_text, remove_file, replace_text
from meshctl.desktop.errors import WiringError
from meshctl.desktop.jsonc import JsoncError, parse, remove_member, set_member
from meshctl.desktop.ledger import Record
from meshctl.desktop.marker import is_own_entry

__all__ = ["Change", "WiringError", "files_written", "install", "installed", "uninstall"]

_NEW_FILE = "{}\n"


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a client's file; `file` is the one written, behind any link.

    `restored`: it is byte for byte what it was before meshctl (or gone, if there was none).
    """

    file: Path
    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restored: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self.added or self.replaced or self.removed or self.restored)


def install(
    app: App, file: Path, entries: Mapping[str, Any], state: Path, *, create: bool = False
) -> Change:
    """Write the entries (`{name: JSON value}`) into the client's file; `state` keeps the undo.

    Repeating it is fine. `create` makes the client's missing folder too. Raises `WiringError`, and
    changes nothing, if a name is taken by an entry that is not meshctl's.
    """
    target = _target(file)
    records = ledger.load(state)
    record = records.get(str(target))
    text = read_text(target)
    with _readable(target):
        present = _servers(app, text)
        own = _own(present, record)
        taken = sorted(name for name in entries if name in present and name not in own)
        if taken:
            raise WiringError(
                f'{app.title} already has a server "{taken[0]}" that is not meshctl\'s ({target})',
                f'rename "{taken[0]}" there, or use another name here',
            )
        after = _NEW_FILE if text is None or _is_blank(text) else text
        for name, value in entries.items():
            if name not in present or present[name] != value:
                after = set_member(after, [app.key], name, value)
        original = _original(app, text, own, record)
    change = Change(
        target,
        added=tuple(name for name in entries if name not in present),
        replaced=tuple(
            name for name, value in entries.items() if present.get(name, value) != value
        ),
    )
    folders = () if record is None else record.folders
    written = {**{name: present[name] for name in own}, **entries}
    updated = Record(original, ledger.digest(after), written, folders + _missing(target, create))
    # The ledger first: after a crash in between, what it says was written is simply not there yet.
    ledger.save(state, {**records, str(target): updated})
    if after != text:
        try:
            make_folder(target.parent)
            replace_text(target, after, expected=text)
        except WiringError:
            ledger.save(state, records)
            raise
    return change


def uninstall(app: App, file: Path, state: Path) -> Change:
    """Take meshctl's entries out of the client's file.

    If the file is what was last written, the original comes back byte for byte; if somebody edited
    it since, only meshctl's members are cut out of the text.
    """
    target = _target(file)
    records = ledger.load(state)
    record = records.pop(str(target), None)
    text = read_text(target)
    change = Change(target)
    if text is not None:
        with _readable(target):
            own = _own(_servers(app, text), record)
            untouched = record is not None and ledger.digest(text) == record.written
            after = _original(app, text, own, record)
        if after != text:
            _write_back(target, text, after, record)
            change = Change(target, removed=tuple(own), restored=untouched)
    ledger.save(state, records)
    return change


def installed(app: App, file: Path, state: Path) -> list[str]:
    """Return the names of meshctl's entries in the client's file, in its order."""
    target = _target(file)
    with _readable(target):
        present = _servers(app, read_text(target))
    return _own(present, ledger.load(state).get(str(target)))


def files_written(state: Path) -> list[Path]:
    """Return the files, behind any link, that hold what `install` wrote for this client."""
    return [Path(file) for file in ledger.load(state)]


def _original(app: App, text: str | None, own: list[str], record: Record | None) -> str | None:
    """Return the file's text as it would be without meshctl; None: there would be no file.

    The kept original counts only while the file is what was last written: restoring it after
    somebody else's edit would undo that edit.
    """
    if text is None:
        return None
    if record is not None and ledger.digest(text) == record.written:
        return record.original
    for name in own:
        text = remove_member(text, [app.key], name)
    if record is not None and not _has_servers(app, record.original):
        # Only if it is as empty as it was made: a comment in it is somebody else's.
        if re.search(rf'"{app.key}"\s*:\s*{{\s*}}', text) and parse(text).get(app.key) == {}:
            text = remove_member(text, [], app.key)
        if record.original is None and "".join(text.split()) == "{}":
            return None
    return text


def _write_back(target: Path, text: str, after: str | None, record: Record | None) -> None:
    if after is not None:
        replace_text(target, after, expected=text)
        return
    remove_file(target, expected=text)
    for folder in reversed(record.folders if record is not None else ()):
        # Whatever else has come to live there keeps the folder.
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _servers(app: App, text: str | None) -> dict[str, Any]:
    """Return the file's `{name: entry}`; raises `JsoncError` like a later edit would."""
    if text is None or _is_blank(text):
        return {}
    document = parse(text)
    if not isinstance(document, dict):
        raise JsoncError("the document is not an object", text, 0)
    servers = document.get(app.key, {})
    if not isinstance(servers, dict):
        raise JsoncError(f'"{app.key}" is not an object', text, text.find(f'"{app.key}"'))
    return servers


def _own(present: Mapping[str, Any], record: Record | None) -> list[str]:
    written = {} if record is None else record.entries
    return [
        name
        for name, entry in present.items()
        if is_own_entry(entry) or (name in written and written[name] == entry)
    ]


def _has_servers(app: App, text: str | None) -> bool:
    if text is None or _is_blank(text):
        return False
    document = parse(text)
    return isinstance(document, dict) and app.key in document


def _is_blank(text: str) -> bool:
    return not text.strip("\ufeff \t\r\n")


def _missing(target: Path, create: bool) -> tuple[str, ...]:
    """Return the folders to make for the target, outermost first."""
    missing = [folder for folder in target.parents if not folder.exists()]
    if missing and not create:
        raise WiringError(
            f"there is no folder {target.parent}: the client seems not to be installed",
            "start the client once, then run the command again",
        )
    return tuple(map(str, reversed(missing)))


def _target(file: Path) -> Path:
    """Follow links: dotfile managers keep the real file elsewhere, and the link has to stay."""
    return Path(os.path.realpath(file))


@contextlib.contextmanager
def _readable(target: Path) -> Iterator[None]:
    try:
        yield
    except JsoncError as error:
        raise WiringError(
            f"{target} does not parse: {error}", "correct the file, then run the command again"
        ) from error
