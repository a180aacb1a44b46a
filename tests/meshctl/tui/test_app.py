"""The keys of the dashboard, and what the screen says, on a fake feed."""

from itertools import combinations
from time import monotonic

import pytest

from meshctl.tui import board
from meshd.wire.errors import DaemonDown, NotFound, UpstreamFailed
from tests.meshctl.tui import things
from tests.meshctl.tui.screen import Shown, dashboard, strips
from tests.meshctl.tui.things import CONNECTIONS, STATUS


def line_with(shown: Shown, word: str) -> str:
    """The first line of the screen that holds a word."""
    return next(line for line in shown.text.splitlines() if word in line)


def selected(shown: Shown) -> list[str]:
    """What is selected in each panel, top to bottom."""
    panels = (shown.app.board.connections, shown.app.board.calls, shown.app.board.events)
    return [panel.selected["id"] for panel in panels if panel.selected]


async def test_the_screen_is_painted_before_anything_is_known() -> None:
    """Every panel says that it waits."""
    async with dashboard(filled=False) as shown:
        assert shown.text.count("asking meshd…") == 3
        await shown.sees("? meshd")


async def test_empty_panels_say_what_to_do() -> None:
    """Once it is known that they are empty."""
    async with dashboard(filled=False) as shown:
        shown.feed.bring_facts({**STATUS, "connections": {}}, [])
        shown.feed.stands("calls", "events")
        screen = await shown.sees("no connections yet", "no calls yet", "no events today")
        await shown.sees("next: meshctl connect NAME URL")
        assert "asking" not in screen


async def test_arrows_select_and_tab_goes_round_the_panels() -> None:
    """Following panels begin at their newest line."""
    async with dashboard() as shown:
        assert selected(shown) == ["conn_github", "call_5", "evt_3"]
        await shown.press("down", "down", "up")
        assert selected(shown)[0] == "conn_postgres"
        await shown.press("tab", "up")
        assert selected(shown) == ["conn_postgres", "call_4", "evt_3"]
        await shown.press("tab", "home")
        assert selected(shown) == ["conn_postgres", "call_4", "evt_1"]
        await shown.press("shift+tab", "end", "pageup")
        assert selected(shown) == ["conn_postgres", "call_2", "evt_1"]
        await shown.press("pagedown", "tab", "tab", "end")
        assert selected(shown) == ["conn_stripe", "call_5", "evt_1"]


async def test_a_connection_stays_selected_when_the_list_changes() -> None:
    """Even when others come and go around it."""
    async with dashboard() as shown:
        await shown.press("down")
        shown.feed.bring_facts(STATUS, [things.connection("aaa"), *CONNECTIONS[1:]])
        await shown.sees("aaa")
        assert selected(shown)[0] == "conn_postgres"


async def test_a_filter_narrows_while_it_is_typed() -> None:
    """Enter keeps it, esc shows all; whatever the case."""
    async with dashboard() as shown:
        await shown.press("tab", "slash")
        await shown.press(*"LIST")
        screen = await shown.sees("filter: LIST", "list_issues")
        assert "search_code" not in screen
        assert "/ filter" not in screen
        await shown.press("enter")
        assert "search_code" not in await shown.sees("filter: LIST", "/ filter")
        await shown.press("escape")
        await shown.sees("search_code")


async def test_a_filter_that_fits_nothing_says_so() -> None:
    """And how to get out."""
    async with dashboard() as shown:
        await shown.press("slash")
        await shown.press(*"[b]q")
        await shown.sees('nothing holds "[b]q"', "filter: [b]q")
        await shown.press("escape")
        await shown.sees("github")


async def test_a_filter_holds_for_calls_that_come_later() -> None:
    """The panel goes on following what fits."""
    async with dashboard() as shown:
        await shown.press("tab", "slash", *"query")
        await shown.sees("filter: query")
        shown.feed.bring_calls(things.call(6, tool="other_tool"), things.call(7, tool="query_more"))
        assert "other_tool" not in await shown.sees("query_more")
        assert selected(shown)[1] == "call_7"


async def test_going_up_holds_the_calls_still() -> None:
    """What is read stays; what comes is counted; end follows again."""
    async with dashboard() as shown:
        await shown.press("tab", "up")
        shown.feed.bring_calls(things.call(6, tool="newest"), things.call(7, tool="newest"))
        assert "newest" not in await shown.sees("Calls ─ still, 2 more")
        assert selected(shown)[1] == "call_4"
        await shown.press("end")
        await shown.sees("newest", "Calls ─ following")
        assert selected(shown)[1] == "call_7"


async def test_f_holds_still_and_follows() -> None:
    """The calls, wherever the focus is; the events when it is there."""
    async with dashboard() as shown:
        await shown.press("f")
        await shown.sees("Calls ─ still")
        await shown.press("f")
        await shown.sees("Calls ─ following")
        await shown.press("tab", "tab", "f")
        await shown.sees("Calls ─ following", "Events ─ still")


async def test_enter_opens_a_call_with_its_stages() -> None:
    """They are asked for; until then the dialog says so. Esc closes it and quits nothing."""
    async with dashboard(120, 36) as shown:
        shown.feed.answers["call.show"] = things.DETAIL
        await shown.press("tab", "up", "up", "enter")
        await shown.sees("stages", "upstream  639ms", "channel")
        await shown.sees("401 from upstream")
        name, asks = shown.feed.asked[-1]
        assert (name, asks.call) == ("call.show", "call_3")
        await shown.press("escape")
        await shown.loses("stages")
        await shown.press("escape", "escape")
        assert shown.app.is_running


async def test_a_call_that_is_gone_says_so_in_its_dialog() -> None:
    """Records are swept."""
    async with dashboard() as shown:
        shown.feed.answers["call.show"] = NotFound("there is no call", next="meshctl call list")
        await shown.press("tab", "enter")
        await shown.sees("there is no call", "next: meshctl call list")


async def test_enter_opens_a_connection_and_an_event() -> None:
    """From what is known already."""
    async with dashboard(120, 36) as shown:
        await shown.press("enter")
        await shown.sees("https://github.example.com/mcp")
        assert shown.feed.asked == []
        await shown.press("escape", "tab", "tab", "enter")
        await shown.sees("type     mesh.connection.failing")


async def test_c_shows_the_command_and_y_copies_it() -> None:
    """So the dashboard teaches the command line."""
    async with dashboard() as shown:
        await shown.press("c")
        await shown.sees("meshctl connection show github", "meshctl tool list github")
        await shown.press("y")
        await shown.sees("copied meshctl connection show github")
        assert shown.app.clipboard == "meshctl connection show github"
        await shown.press("tab", "c")
        await shown.sees("meshctl call show call_5")
        await shown.press("escape", "tab", "c")
        await shown.sees("meshctl event tail --after 2 --limit 1 --no-follow --json")


async def test_y_copies_the_id() -> None:
    """And says what it copied."""
    async with dashboard() as shown:
        await shown.press("y")
        await shown.sees("copied conn_github")
        assert shown.app.clipboard == "conn_github"
        await shown.press("tab", "y")
        await shown.sees("copied call_5")
        assert shown.app.clipboard == "call_5"


async def test_t_tests_the_selected_connection() -> None:
    """Wherever the focus is; the answer is a sentence."""
    async with dashboard() as shown:
        await shown.press("down", "down", "tab", "t")
        await shown.sees("testing slack…")
        name, asks = shown.feed.asked[-1]
        assert (name, asks.connection) == ("connection.test", "slack")
        shown.feed.answers["connection.test"] = {
            "connection": things.connection("slack", tools=3), "duration_ms": 12.0,
        }  # fmt: skip
        await shown.press("t")
        await shown.sees("answered in 12ms")
        await shown.sees("slack  ● ready  3 tools")
        assert shown.feed.refreshed == 2  # one for the events that came, one after the test


async def test_a_failed_test_is_a_sentence() -> None:
    """Foreign words in it are shown, not obeyed."""
    async with dashboard() as shown:
        shown.feed.answers["connection.test"] = UpstreamFailed("401 \x1b[2J[b]", next="do this")
        await shown.press("t")
        await shown.sees("! 401 \\x1b[2J[b]  next: do this")


async def test_disabling_asks_first() -> None:
    """N and esc decline, y agrees, and enter does nothing."""
    async with dashboard() as shown:
        for key in ("n", "escape"):
            await shown.press("e")
            await shown.sees("disable github?")
            await shown.press(key)
            await shown.loses("disable github?")
        await shown.press("e", "enter", "space")
        await shown.sees("disable github?")
        assert shown.feed.asked == []
        shown.feed.answers["connection.disable"] = things.connection("github", "disabled")
        await shown.press("y")
        await shown.sees("github  ○ disabled")
        assert [(name, asks.connection) for name, asks in shown.feed.asked] == [
            ("connection.disable", "github")
        ]


async def test_enabling_does_not_ask() -> None:
    """It harms nobody."""
    async with dashboard() as shown:
        shown.feed.answers["connection.enable"] = things.connection("stripe")
        await shown.press("end", "e")
        await shown.sees("stripe  ● ready")
        assert [name for name, _ in shown.feed.asked] == ["connection.enable"]


async def test_r_asks_the_daemon_now() -> None:
    """What would be asked later."""
    async with dashboard() as shown:
        before = shown.feed.refreshed
        await shown.press("r")
        assert shown.feed.refreshed == before + 1


async def test_an_event_about_connections_asks_at_once() -> None:
    """The table need not wait for its turn; other events change nothing there."""
    async with dashboard() as shown:
        before = shown.feed.refreshed
        shown.feed.bring_events(things.event(4, "mesh.key.added", "other"))
        await shown.sees("conn_other")
        assert shown.feed.refreshed == before
        shown.feed.bring_events(things.event(5, "mesh.connection.added", "newest"))
        await shown.sees("conn_newest")
        assert shown.feed.refreshed == before + 1


@pytest.mark.parametrize("keys", [["q"], ["ctrl+c"], ["question_mark", "q"], ["e", "ctrl+c"],
                                  ["slash", "ctrl+c"]])  # fmt: skip
async def test_q_and_ctrl_c_quit(keys: list[str]) -> None:
    """From anywhere; in a text field q is a letter, ctrl+c is not."""
    async with dashboard() as shown:
        await shown.press(*keys[:-1])
        shown.post(keys[-1])
        await shown.until(lambda: not shown.app.is_running)
        assert shown.app.return_code == 0
    assert shown.feed._closed


async def test_q_in_the_filter_is_a_letter() -> None:
    """Nobody loses the screen while typing."""
    async with dashboard() as shown:
        await shown.press("slash", *"query")
        await shown.sees("filter: query")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic time of the screen, which the test sets."""
    now = [100.0]
    monkeypatch.setattr(board, "monotonic", lambda: now[0])
    return now


async def test_a_lost_daemon_is_a_banner_and_the_data_stays(clock: list[float]) -> None:
    """Until each source that was lost stands again."""
    async with dashboard() as shown:
        down = DaemonDown(next="meshctl daemon start")
        shown.feed.lose("calls", down, clock[0] + 7.9)
        shown.feed.lose("facts", down, clock[0] + 3.9)
        await shown.sees("○ meshd is not running; again in 4s, r asks now")
        await shown.sees("○ meshd 0.1.0 lost")
        await shown.sees("github")
        await shown.sees("list_issues")
        shown.feed.stands("facts")
        await shown.sees("again in 8s")
        shown.feed.stands("calls")
        await shown.loses("is not running")
        await shown.sees("● meshd 0.1.0  up")


async def test_the_seconds_to_the_retry_count_down(clock: list[float]) -> None:
    """The screen's own tick paints them."""
    async with dashboard() as shown:
        shown.feed.lose("calls", DaemonDown(), clock[0] + 3.5)
        await shown.sees("again in 4s")
        clock[0] += 3.2
        await shown.sees("again in 1s")
        clock[0] += 1
        await shown.sees("asking again")


async def test_numbers_count_the_calls_of_five_minutes() -> None:
    """Also those that came before the screen was opened."""
    async with dashboard() as shown:
        await shown.until(lambda: "failed          1" in shown.text)
        await shown.sees("calls           5")
        await shown.sees("today         128")
        shown.feed.bring_calls(things.call(6, ok=False), things.call(7, ago=301, ok=False))
        await shown.sees("calls           6", "failed          2")


async def test_the_problem_line_follows_the_selection() -> None:
    """It says what to press for the selected connection."""
    async with dashboard() as shown:
        assert "select it, t tests it" in line_with(shown, "slack failing")
        await shown.press("down", "down")
        await shown.loses("select it")
        assert "t tests it" in line_with(shown, "slack failing")


async def test_foreign_text_is_neither_markup_nor_escape() -> None:
    """Names of tools, errors, events: all that a server can choose."""
    odd = "[red]\x1b[31mx\u202e[/]"
    shown_as = "[red]\\x1b[31mx\\u202e[/]"
    async with dashboard(160, 40) as shown:
        failing = things.connection("slack", "failing", reason=odd)
        shown.feed.bring_facts(STATUS, [failing])
        shown.feed.bring_calls(things.call(8, tool=odd, error=odd, ok=False, principal=odd))
        shown.feed.bring_events(things.event(9, odd, odd))
        shown.feed.answers["call.show"] = {
            **things.DETAIL, "tool": odd, "error": odd, "arguments": {"a": odd},
        }  # fmt: skip
        await shown.until(lambda: shown.text.count(shown_as) >= 5)
        await shown.press("tab", "enter")
        await shown.sees("stages")
        everything = [strip.text for strip in strips(shown.app)]
        assert sum(shown_as in line for line in everything) >= 2
        assert all(line.isprintable() for line in everything)


SIZES = [
    (80, 24, True, True), (79, 24, False, True), (80, 23, False, True), (60, 18, False, True),
    (59, 24, False, False), (80, 17, False, False), (40, 10, False, False), (120, 36, True, True),
]  # fmt: skip
"""Width, height, whether the column beside the connections is shown, whether the events are."""


async def test_narrow_screens_hide_the_side_first_then_the_events() -> None:
    """The numbers move to the edge of the calls; connections, calls and keys are never hidden."""
    async with dashboard(100, 30) as shown:
        for width, height, side, events in SIZES:
            await shown.pilot.resize_terminal(width, height)
            await shown.sees("Connections ─", "github", "Calls ─", "? help")
            await shown.until(lambda: ("Last 5 minutes" in shown.text) is side)  # noqa: B023 - waited for here
            await shown.until(lambda: ("5 calls  1 f" in shown.text) is not side)  # noqa: B023 - as above
            assert ("Events ─" in shown.text) is events
            drawn = [w for w in shown.app.board.query(".panel, Line") if w.region.area]
            for one, other in combinations(drawn, 2):
                assert not one.region.overlaps(other.region), (width, height, one, other)


async def test_no_size_breaks_it() -> None:
    """Absurd ones come up while a window is dragged."""
    async with dashboard(60, 20) as shown:
        for size in [(1, 1), (5, 3), (20, 5), (300, 100)]:
            await shown.pilot.resize_terminal(*size)
            await shown.press("down", "tab", "enter", "escape")
        await shown.pilot.resize_terminal(80, 24)
        await shown.sees("github", "Last 5 minutes")


async def test_the_mouse_selects_and_scrolls() -> None:
    """Though nothing needs it."""
    async with dashboard() as shown:
        assert await shown.pilot.click("#connections", offset=(4, 4))
        await shown.pilot.pause()
        assert selected(shown)[0] == "conn_slack"
        assert await shown.pilot.click("#connections", offset=(4, 0))
        assert selected(shown)[0] == "conn_slack"


def colours(shown: Shown) -> set[str]:
    """Every colour on the screen, but the terminal's own two."""
    styles = [segment.style for strip in strips(shown.app) for segment in strip if segment.style]
    found = {c.name for style in styles for c in (style.color, style.bgcolor) if c}
    return found - {"default"}


async def test_colour_is_used_where_it_is_wanted() -> None:
    """The counterpart of the next one."""
    async with dashboard() as shown:
        assert {"green", "red"} <= colours(shown)


async def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Selection, focus and states are still told apart, by marks and words."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with dashboard() as shown:
        assert colours(shown) == set()
        await shown.sees("▸ github")
        await shown.sees("! failing")
        shown.feed.lose("facts", DaemonDown(), monotonic() + 5)
        await shown.sees("is not running")
        assert colours(shown) == set()


async def test_plain_screens_are_ascii() -> None:
    """For fonts that have nothing else."""
    async with dashboard(plain=True) as shown:
        screens = [shown.text]
        await shown.press("e")
        screens.append(await shown.sees("disable"))
        await shown.press("n", "question_mark")
        screens.append(await shown.sees("Keys"))
        assert {char for screen in screens for char in screen if not char.isascii()} == set()


async def test_ages_grow_while_nothing_arrives() -> None:
    """The clock alone paints them, and their column gets the room that they need."""
    async with dashboard() as shown:
        seen = things.NOW.isoformat()
        shown.feed.bring_facts(STATUS, [things.connection("github", seen_at=seen)])
        await shown.loses("postgres  ●")
        assert "now" in line_with(shown, "github")
        shown.app._now = lambda: things.NOW.replace(minute=7)
        await shown.sees("15:07:00")
        assert "7m ago" in line_with(shown, "github")
