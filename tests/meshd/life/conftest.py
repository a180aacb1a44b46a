"""Daemons that share one database."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshd.vault.master import load_or_create
from tests.support.daemon import Daemon
from tests.support.postgres import Postgres


@pytest.fixture
def pair(postgres: Postgres, tmp_path: Path) -> Iterator[list[Daemon]]:
    """Two on one Postgres, with one master key."""
    key = tmp_path / "keys" / "master.key"
    load_or_create(key)
    with postgres.schema() as dsn:
        daemons = [Daemon.fresh(DATABASE_URL=dsn) for _ in range(2)]
        for one in daemons:
            shutil.copytree(key.parent, one.home / "keys")
        try:
            for one in daemons:
                one.start()
            yield daemons
        finally:
            for one in daemons:
                one.remove()
