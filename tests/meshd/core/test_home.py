"""What a home remembers of its daemon."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from meshd.core.home import Remembered


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run" / "daemon.json"
    first = Remembered.read(path)
    assert first.port is None
    told = replace(first, port=4000)
    told.write(path)
    assert Remembered.read(path) == told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["daemon.json"]


def test_every_home_has_a_name_of_its_own(tmp_path: Path) -> None:
    assert Remembered.read(tmp_path / "a").daemon != Remembered.read(tmp_path / "b").daemon


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "[" * 10_000, "\xff", '{"daemon": 1, "port": true}',
     '{"daemon": "mesh_ x", "port": 65536}', '{"daemon": "usr_a", "port": "1"}'],
)  # fmt: skip
def test_a_file_that_says_nothing_costs_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(text, encoding="latin-1")
    found = Remembered.read(path)
    assert found.daemon.startswith("mesh_")
    assert found.port is None
