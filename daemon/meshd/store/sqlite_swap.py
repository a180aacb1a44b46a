"""Putting other SQLite files in the place of a daemon's, which are kept beside. No daemon runs."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from meshd.store.archive import sync_folder
from meshd.store.db import StoreError
from meshd.store.reading import CALLS_FILE, MAIN_FILE
from meshd.store.sqlite import connect_writer

_BESIDE = ("-wal", "-shm", "-journal", ".seal")
"""What belongs to a file and must not be taken for a part of another."""


def swap(folder: Path, main: Path, calls: Path, kept: Path) -> bool:
    """Move the two files of `folder` to where `main` and `calls` are; whether there were some.

    Those are in the folder `kept` then, which is made, with what lies beside them. Whenever this
    ends early, either the old files or the new ones are in place, or a main database of the one
    with call records of the other.

    Raises:
        OSError: a file cannot be moved.
    """
    main.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = [path for path in (main, calls) if path.exists()]
    if found:
        kept.mkdir(mode=0o700)
        for path in found:
            _keep(path, kept)
        sync_folder(kept)
    for name, path in ((CALLS_FILE, calls), (MAIN_FILE, main)):
        (folder / name).replace(path)
        sync_folder(path.parent)
    return bool(found)


def _keep(path: Path, kept: Path) -> None:
    """Give the file a second name in `kept`, and take away what could be read into its successor.

    A log that can be written back is written back first. The old file is then whole by itself, at
    any moment until another takes its name.
    """
    with suppress(StoreError, sqlite3.Error), closing(connect_writer(path, durable=True)) as writer:
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    os.link(path, kept / path.name)
    for more in _BESIDE:
        beside = path.with_name(path.name + more)
        if beside.exists():
            beside.replace(kept / beside.name)
