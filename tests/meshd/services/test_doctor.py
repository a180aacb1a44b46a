"""The daemon's own checks of its walls."""

from pathlib import Path

import pytest

from meshd.core.config import read_config
from meshd.services.doctor import examine
from meshd.vault.master import load_or_create


def checks(home: Path) -> dict[str, dict]:
    return {str(c["check"]): c for c in examine(read_config({"MESHCTL_HOME": str(home)}))}


def test_a_home_that_never_ran(tmp_path: Path) -> None:
    """Nothing fails, and nothing is made."""
    found = checks(tmp_path / "none")
    assert {check["state"] for check in found.values()} == {"pass"}
    assert not (tmp_path / "none").exists()


def test_a_master_key_that_others_could_read_fails(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "master.key"
    load_or_create(key)
    assert checks(tmp_path)["master key"]["state"] == "pass"
    key.chmod(0o644)
    assert checks(tmp_path)["master key"]["state"] == "fail"


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x00" * 100])
def test_a_master_key_that_is_none_fails_and_is_not_shown(tmp_path: Path, content: bytes) -> None:
    key = tmp_path / "keys" / "master.key"
    load_or_create(key)
    key.write_bytes(content)
    found = checks(tmp_path)["master key"]
    assert found["state"] == "fail"
    assert "nonsense" not in found["note"]
