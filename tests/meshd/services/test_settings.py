"""Settings that are read again: what is taken over, by whom, and what is said about it."""

import json

import pytest

from meshd.core.config import SETTINGS, Config, read_config
from meshd.services.settings import LIVE, Reloaded, Settings
from tests.support.floors import Floors

HOME = {"MESHCTL_HOME": "/tmp/x"}


def settings(house: Floors, took: list[str]) -> Settings:
    takers = {name: lambda _, name=name: took.append(name) for name in LIVE}
    return Settings(read_config(HOME), house.scoped, house.events, lambda: house.owner, takers)


async def told(house: Floors) -> dict[str, object]:
    rows = await house.db.all("event.after", org_id=house.owner.org, after=0, limit=10)
    assert rows[-1]["type"] == "mesh.config.reloaded"
    data: dict[str, object] = json.loads(rows[-1]["data"])
    return data


async def test_live_ones_are_taken_over_and_others_wait(house: Floors) -> None:
    took: list[str] = []
    made = settings(house, took)
    read = read_config({**HOME, "PORT": "4000", "MESHCTL_LOG_LEVEL": "debug"})
    assert await made.reload(read) == Reloaded(["MESHCTL_LOG_LEVEL"], ["PORT"])
    assert took == ["MESHCTL_LOG_LEVEL"]
    assert (made.config.log_level, made.config.port) == ("debug", None)
    assert made.config.sources["MESHCTL_LOG_LEVEL"] == "environment"
    assert made.config.sources["PORT"] == "default"
    data = await told(house)
    assert (data["changed"], data["needs_restart"]) == (["MESHCTL_LOG_LEVEL"], ["PORT"])
    assert await made.reload(read) == Reloaded([], ["PORT"])
    assert took == ["MESHCTL_LOG_LEVEL"]


async def test_what_only_looks_different_is_no_change(house: Floors) -> None:
    made = settings(house, [])
    read = read_config({**HOME, "MESHCTL_LOG_LEVEL": "INFO", "MESHCTL_KEEP_EVENTS": "168h"})
    assert await made.reload(read) == Reloaded([], [])


def test_every_live_setting_has_its_taker(house: Floors) -> None:
    takers = {name: lambda _: None for name in LIVE - {"MESHCTL_KEEP_CALLS"}}
    with pytest.raises(LookupError, match="MESHCTL_KEEP_CALLS"):
        Settings(read_config(HOME), house.scoped, house.events, lambda: house.owner, takers)


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.live], ids=lambda s: s.env)
def test_a_live_setting_is_carried_over_whole(setting) -> None:
    """Its value and where it was said; else the daemon would show one and do another."""
    text = {
        "MESHCTL_LOG_LEVEL": "error", "MESHCTL_KEEP_EVENTS": "2h", "MESHCTL_KEEP_CALLS": "3h",
        "MESHCTL_KEEP_WAITING": "4h", "MESHCTL_KEEP_FREE": "7",
        "MESHCTL_RATE_LIMIT": "5", "MESHCTL_PUBLISH_RATE": "6", "TRUSTED_PROXIES": "10.0.0.1",
        "METRICS_ACCESS": "off", "MESHCTL_KEY_LIFETIME": "7d", "MESHCTL_KEY_MAX_LIFETIME": "8d",
    }  # fmt: skip
    word = text.get(setting.env, "https://x" if setting.env == "ALLOWED_ORIGINS" else "x")
    read = read_config({**HOME, setting.env: word})
    live = read_config(HOME).with_live(read)
    assert live == read
    assert live != read_config(HOME)
    assert isinstance(live, Config)
