"""The view of the event bus: what it shows, and how its keys repair, on a fake feed."""

import pytest

from meshd.wire.errors import Conflict
from tests.meshctl.tui import things
from tests.meshctl.tui.screen import dashboard

REPAIRED = {"deliveries": ["dlv_4"]}
ATTEMPTS = [
    {"fence": 1, "attempt": 20, "outcome": "failed", "status": 503, "error": "503 from hooks",
     "started_at": "2026-11-23T14:55:00Z", "duration_ms": 31.0, "daemon": "d"},
]  # fmt: skip


async def test_b_turns_to_the_bus_and_back() -> None:
    """It is asked about only while it is shown."""
    async with dashboard() as shown:
        assert not shown.feed.bus_watched
        await shown.turn_to_bus()
        assert shown.feed.bus_watched
        screen = await shown.sees(
            "1 ready, 3402 done, 2 dead, oldest waits 3 s", "2 active, 1 paused"
        )
        assert "Calls" not in screen
        assert "Connections" not in screen
        await shown.sees("to-audit  held back", "mesh.connection.failing")
        await shown.press("b")
        await shown.sees("Connections", "Calls")
        assert not shown.feed.bus_watched
        await shown.until(lambda: shown.app.focused is shown.app.board.connections)


async def test_tab_goes_round_the_panels_of_the_bus() -> None:
    """What is hidden is not on the way; events go on following."""
    async with dashboard() as shown:
        await shown.turn_to_bus()
        seen = []
        for _ in range(5):
            seen.append(shown.app.board.panel.kind.name)
            await shown.press("tab")
        assert seen == ["dead", "subscriptions", "deliveries", "events", "dead"]
        shown.feed.bring_events(things.event(7, "order.made", "newest"))
        await shown.sees("conn_newest")


async def test_a_tries_a_dead_letter_again() -> None:
    """The selected one; the daemon is asked at once how it stands then."""
    async with dashboard() as shown:
        await shown.turn_to_bus()
        shown.feed.answers["event.dead_retry"] = {"deliveries": ["dlv_2"]}
        before = shown.feed.refreshed
        await shown.press("down", "a")
        await shown.sees("trying dlv_2 again: 1 delivery")
        ((name, asks),) = shown.feed.asked
        assert (name, asks.delivery, asks.all) == ("event.dead_retry", "dlv_2", False)
        assert shown.feed.refreshed == before + 1


async def test_what_the_daemon_refuses_is_a_sentence() -> None:
    """Somebody else may have been faster."""
    async with dashboard() as shown:
        await shown.turn_to_bus()
        shown.feed.answers["event.dead_retry"] = Conflict("it is done")
        await shown.press("a")
        await shown.sees("! it is done")


async def test_dropping_asks_first() -> None:
    """N and enter drop nothing."""
    async with dashboard() as shown:
        await shown.turn_to_bus()
        await shown.press("d", "enter")
        await shown.sees("drop dlv_4?", "to-erp does not get this event any more")
        await shown.press("n")
        await shown.loses("drop dlv_4?")
        assert shown.feed.asked == []
        shown.feed.answers["event.dead_drop"] = REPAIRED
        await shown.press("d", "y")
        await shown.sees("dropping dlv_4: 1 delivery")
        assert [(name, asks.delivery) for name, asks in shown.feed.asked] == [
            ("event.dead_drop", "dlv_4")
        ]


@pytest.mark.parametrize(
    ("keys", "event"),
    [([], "order-4"), (["tab", "tab"], "order-6"), (["shift+tab"], "evt_own")],
    ids=["dead", "deliveries", "events"],
)
async def test_p_replays_the_event_that_is_selected(keys: list[str], event: str) -> None:
    """Or that a delivery is of; an event is named by the id that is ours, where it has both."""
    async with dashboard() as shown:
        await shown.turn_to_bus()
        shown.feed.bring_events({**things.event(8, "order.made", "x"), "meshid": "evt_own"})
        await shown.sees("conn_x")
        shown.feed.answers["event.replay"] = {"deliveries": ["dlv_4", "dlv_5"]}
        await shown.press(*keys, "p")
        await shown.sees(f"deliver {event} again?")
        assert shown.feed.asked == []
        await shown.press("y")
        await shown.sees(f"replaying {event}: 2 deliveries")
        assert [(name, asks.event) for name, asks in shown.feed.asked] == [("event.replay", event)]


async def test_keys_that_fit_nothing_say_what_to_select() -> None:
    """A delivery that is not dead is neither tried nor dropped, a subscription not replayed."""
    async with dashboard() as shown:
        await shown.turn_to_bus()
        await shown.press("tab", "p")
        await shown.sees("select an event or a delivery first")
        for key in ("a", "d"):
            shown.app.board.say("")
            await shown.press("tab" if key == "a" else "home", key)
            await shown.sees("select a dead letter first")
        assert shown.feed.asked == []


async def test_keys_of_the_other_view_do_nothing() -> None:
    """No connection is disabled from where it is not seen, no letter dropped."""
    async with dashboard() as shown:
        await shown.press("a", "d", "p")
        await shown.turn_to_bus()
        await shown.press("e", "t")
        assert "disable" not in shown.text
        await shown.press("b", "a", "d", "p")
        assert "drop" not in shown.text
        assert shown.feed.asked == []


async def test_enter_opens_a_delivery_with_its_attempts() -> None:
    """They are asked for; c shows the commands."""
    async with dashboard(120, 36) as shown:
        await shown.turn_to_bus()
        shown.feed.answers["delivery.show"] = {**things.DEAD[0], "attempts": ATTEMPTS}
        await shown.press("enter")
        await shown.sees("attempts", "14:55:00  failed  31 ms  503 from hooks")
        name, asks = shown.feed.asked[-1]
        assert (name, asks.delivery) == ("delivery.show", "dlv_4")
        await shown.press("escape", "c")
        await shown.sees("meshctl delivery show dlv_4", "meshctl event dead retry dlv_4")
        await shown.press("escape", "tab", "enter")
        await shown.sees("to-erp", "order.*", "erp/ON_EVENTS")


async def test_a_filter_narrows_the_deliveries() -> None:
    """As any panel; b is a letter while it is typed."""
    async with dashboard() as shown:
        await shown.turn_to_bus()
        await shown.press("tab", "tab", "slash", *"b", "backspace", *"429")
        await shown.sees("filter: 429", "429 from upstream")
        await shown.loses("● done")
        assert len(shown.app.board.deliveries._shown) == 1


async def test_the_problem_line_is_about_dead_letters() -> None:
    """The connections' trouble is for the view that shows them."""
    async with dashboard(120, 36) as shown:
        await shown.turn_to_bus()
        await shown.sees("! 2 dead letters: 503 from hooks.example  a tries it again")
        await shown.press("tab")
        await shown.sees("! 2 dead letters  select one, a tries it again")
        stats = {**things.STATS, "states": {**things.STATS["states"], "dead": 0}}
        shown.feed.bring_bus(stats, [], things.DELIVERIES[:2], things.SUBSCRIPTIONS)
        await shown.loses("dead letters  ")
        await shown.press("b")
        await shown.sees("slack failing")
