"""What meshctl changed in a client's files, kept so that it can be undone.

One JSON file for each client, mode 0600: the original holds whatever credentials the client's own
file holds. Deciding what to undo is `wiring`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from meshctl.desktop.config_file import make_folder, read_text, remove_file, replace_text
from meshctl.desktop.errors import WiringError

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One changed file: its text without meshctl (None: there was none), and what was written.

    `written` is the SHA-256 of the text last written, `folders` those made for it, outermost first.
    """

    original: str | None
    written: str
    entries: Mapping[str, Any] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


def digest(text: str) -> str:
    """Return the hexadecimal SHA-256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def load(state: Path) -> dict[str, Record]:
    """Return the records by the changed file's path; raises `WiringError` if it is no ledger."""
    text = read_text(state)
    if text is None:
        return {}
    try:
        return _records(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # Without it entries are still recognised and removed, only not byte for byte.
        raise WiringError(f"{state} is damaged", f"mv {state} {state}.damaged") from error


def _records(document: Any) -> dict[str, Record]:
    if document["version"] != _VERSION:
        raise ValueError(document["version"])
    return {
        path: Record(
            original=None if one["original"] is None else str(one["original"]),
            written=str(one["written"]),
            entries=dict(one["entries"]),
            folders=tuple(map(str, one["folders"])),
        )
        for path, one in document["files"].items()
    }


def save(state: Path, records: Mapping[str, Record]) -> None:
    """Write the records, readable by the owner alone; without any the file goes."""
    before = read_text(state)
    if not records:
        if before is not None:
            remove_file(state, expected=before)
        return
    files = {path: asdict(record) for path, record in records.items()}
    text = json.dumps({"version": _VERSION, "files": files}, ensure_ascii=False, indent=1) + "\n"
    if text == before:
        return
    make_folder(state.parent)
    replace_text(state, text, expected=before)
