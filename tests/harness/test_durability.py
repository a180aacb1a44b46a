"""The short form of each run about what an acknowledgement is worth, and what gets none."""

import random

import pytest

from tests.harness import (
    bit_flips,
    busy,
    dedupe,
    event_storm,
    kill_storm,
    power_cut,
    pressure,
    upkeep,
)

SEED = 20_261_123


@pytest.mark.parametrize(
    "harness",
    [kill_storm, event_storm, dedupe, pressure, busy, power_cut, bit_flips, upkeep],
    ids=lambda m: m.__name__.split(".")[-1],
)
def test_its_short_form_passes(harness):
    assert harness.run(SEED, full=False).failures == []


def test_damage_to_a_disk_is_seen(tmp_path):
    """The replay applies writes in order, and keeps nothing that was not synced."""
    change = power_cut.Change
    disk = power_cut.Disk()
    for step in (
        change("write", "/a", 2, b"xy"), change("sync", "/a"), change("write", "/a", 0, b"z"),
        change("write", "/b", 0, b"lost"), change("sync", "/c"),
    ):  # fmt: skip
        disk.take(step)
    disk.lay_out(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"\0\0xy"}
    disk.take(change("truncate", "/a", 3))
    disk.take(change("sync", "/a"))
    disk.lay_out(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"z\0x"
    disk.take(change("unlink", "/a"))
    disk.lay_out(tmp_path / "..", random.Random(0))
    assert disk.synced == {}
