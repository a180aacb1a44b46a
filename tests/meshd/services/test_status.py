"""How things stand, for the one who asks."""

from pathlib import Path

from meshd.core.config import SETTINGS, read_config
from meshd.services.status import StatusReport
from meshd.wire.connection import ConnectionAdd
from tests.support.floors import Floors


def report(house: Floors, home: Path) -> StatusReport:
    return StatusReport(
        lambda: read_config({"MESHCTL_HOME": str(home)}), house.clock, house.directory, house.connections,
        house.records, house.upstreams, lambda: "http://127.0.0.1:3000", lambda: 7, house.clock.now(),
    )  # fmt: skip


async def test_what_an_operator_sees_first(house: Floors) -> None:
    await house.connections.add(house.owner, ConnectionAdd(name="a", url="http://127.0.0.1:1/"))
    await house.connections.add(house.owner, ConnectionAdd(name="b", url="http://127.0.0.1:1/"))
    await house.connections.enable(house.owner, "b", enabled=False)
    made = report(house, Path("/tmp/x"))
    house.clock.advance(5)
    shown = await made.status(house.owner)
    assert (shown.connections.failing, shown.connections.disabled, shown.calls_today) == (1, 1, 0)
    assert [p.next for p in shown.problems] == ["meshctl connection test a"]
    assert (shown.daemon.state, shown.daemon.uptime_s, shown.org.name) == (
        "running",
        5.0,
        "default",
    )


async def test_a_key_sees_the_state_of_what_it_may_use(house: Floors) -> None:
    """Names and reasons of other connections are not its own things."""
    for name in ("a", "b"):
        await house.connections.add(
            house.owner, ConnectionAdd(name=name, url="http://127.0.0.1:1/")
        )
    who = await house.key("k", allow=["a/x", "self/status"])
    shown = await report(house, Path("/tmp/x")).status(who)
    assert shown.connections.failing == 1
    assert '"b"' not in repr(shown.problems)


async def test_who_am_i(house: Floors) -> None:
    made = report(house, Path("/tmp/x"))
    assert (made.whoami(house.owner).kind, made.whoami(house.owner).role) == ("local", "owner")
    who = made.whoami(await house.key("k", allow=["*/x"], role="user"))
    assert (who.name, who.kind, who.permissions, who.role) == ("k", "key", {"*": ["x"]}, "user")


async def test_the_inside_shows_every_setting(house: Floors) -> None:
    shown = await report(house, Path("/tmp/x")).inside()
    assert [row.name for row in shown.settings] == [setting.env for setting in SETTINGS]
    values = {row.name: (row.value, row.source) for row in shown.settings}
    assert values["MESHCTL_HOME"] == ("/tmp/x", "environment")
    assert values["HOST"] == ("127.0.0.1", "default")
    assert shown.rss_bytes > 1_000_000
    assert shown.sessions_ended == 7
