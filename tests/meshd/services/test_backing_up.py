"""Backups of a daemon that runs, where something else fails beside them."""

from pathlib import Path

import pytest

from meshd.core.clock import SystemClock
from meshd.services.backing_up import Backups
from meshd.services.bell import Bell
from meshd.services.events import Events
from meshd.store.db import StoreError
from meshd.store.opening import open_databases
from meshd.wire.db import BackupAsked
from tests.support.filled import fill
from tests.support.principals import local_principal


async def test_a_backup_that_cannot_be_put_on_record_is_one_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The file is whole and named: an error would send its owner looking for another."""
    home = await fill(tmp_path / "home", 3)
    async with open_databases(home) as databases:
        backups = Backups(
            home, databases, Events(databases.main, SystemClock(), Bell()), SystemClock()
        )

        async def full(*_steps: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(databases.main, "write", full)
        done = await backups.make(local_principal(), BackupAsked(file=str(tmp_path / "a.backup")))
    assert Path(done.file).stat().st_size == done.bytes
    assert "could not be put on record: the disk is full" in caplog.text
