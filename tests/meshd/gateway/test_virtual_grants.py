"""Who may do what at a virtual MCP: grants on it, on its children, and its maker's bounds."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import virtuals
from tests.support.daemon import Answer, Daemon
from tests.support.tenants import Tenant
from tests.support.upstream import Upstream, upstream
from tests.support.virtuals import ERAS, ask, call, listed

TEAM = "/team"


@pytest.fixture(scope="module")
def north() -> Iterator[Upstream]:
    with upstream() as running:
        running.replies = virtuals.full_replies("north")
        yield running


@pytest.fixture(scope="module")
def house(shared_daemon: Daemon, north: Upstream) -> Daemon:
    """Two connections, and `team` made of both by the local owner."""
    shared_daemon.connect_http("north", north.url)
    shared_daemon.connect_http("south", north.url)
    virtuals.make(shared_daemon, "team", "north", "south")
    return shared_daemon


def denied(answer: dict[str, Any]) -> dict[str, str]:
    """What a refused call says of itself."""
    assert answer["result"]["isError"] is True
    return dict(answer["result"]["_meta"]["meshctl/denied"])


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("allow", "tools", "uris"),
    [
        (["team"], ["north_look", "north_change", "south_look", "south_change"], 2),
        (["team/north_*"], ["north_look", "north_change"], 0),
        (["team/look"], [], 0),
        (["north"], ["north_look", "north_change"], 1),
        (["north/look", "team/south_change"], ["north_look", "south_change"], 0),
        (["team/resource:*"], [], 2),
        (["north/resource:file:///north/*"], [], 2),
    ],
)
def test_lists_show_what_is_granted_on_either(
    house: Daemon, era: str, allow: list[str], tools: list[str], uris: int
) -> None:
    """By the names that things have where the grant is. Both servers list the same URIs."""
    key = house.add_key(f"k{abs(hash((era, *allow)))}", *allow)
    assert listed(house, TEAM, key=key, era=era) == tools
    found = listed(house, TEAM, key=key, era=era, what="resources")
    assert len(found) == min(uris, 1)
    for name in ("north_look", "south_change"):
        answer = call(house, TEAM, name, key=key, era=era)
        if name in tools:
            assert "isError" not in answer["result"]
        else:
            assert denied(answer)["next"].startswith("meshctl key edit k")


def test_the_command_in_a_denial_is_the_one_that_helps(house: Daemon) -> None:
    """It names the virtual MCP at which the tool was called."""
    key = house.add_key("helped", "team/north_look")
    words = denied(call(house, TEAM, "north_change", key=key))["next"].split()
    assert words == ["meshctl", "key", "edit", "helped", "--allow", "team/north_change"]
    house.control("PATCH", "/v1/keys/helped", {"allow": words[5:]})
    assert "isError" not in call(house, TEAM, "north_change", key=key)["result"]


def test_at_the_default_one_it_names_the_child(house: Daemon) -> None:
    """No grant can name the default one."""
    key = house.add_key("helped-too", "north/look")
    said = denied(call(house, "", "north_change", key=key))
    assert said["next"] == "meshctl key edit helped-too --allow north/change"


def test_without_any_grant_there_every_method_is_403(house: Daemon) -> None:
    """With the command that opens it; the default one answers all the same, with nothing."""
    house.connect_http("alone", "http://127.0.0.1:1/mcp")
    key = house.add_key("stranger", "alone")
    for method in ("initialize", "tools/list", "ping", "prompts/get"):
        answer = ask(house, TEAM, method, key=key)
        assert answer.status == 403
        found = answer.json()["error"]["data"]
        assert found["next"] == "meshctl key edit stranger --allow team"
    for method in ("GET", "DELETE"):
        assert house.tcp(method, "/mcp/team", key=key).status == 403
    assert house.tcp("POST", "/mcp/team/call-tool/north_look", {}, key=key).status == 403
    nobody = house.add_key("nobody", "self/status")
    assert listed(house, "", key=nobody) == []


def test_unknown_foreign_and_removed_are_one_404(daemon: Daemon) -> None:
    """Byte for byte, whatever is asked for."""
    virtuals.make(daemon, "shortlived")
    daemon.control("DELETE", "/v1/virtuals/shortlived")
    key = daemon.add_key("asks-around")
    theirs = Tenant.made(daemon, "other").control("POST", "/v1/virtuals", {"name": "theirs"})["id"]
    answers: list[Answer] = [
        ask(daemon, f"/{name}", "tools/list", key=key)
        for name in ("nothing", "theirs", theirs, "shortlived", "vir_0")
    ]
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body for answer in answers}) == 1


def test_a_disabled_one_says_so(house: Daemon) -> None:
    virtuals.make(house, "off", "north")
    house.control("POST", "/v1/virtuals/off/disable")
    answer = ask(house, "/off", "ping", key=house.add_key("of-off", "off"))
    assert answer.status == 503
    assert answer.json()["error"]["data"]["next"] == "meshctl virtual enable off"


def made_by(house: Daemon, name: str, *allow: str) -> str:
    """A virtual MCP `name` of both connections, made with a key; the key's name."""
    maker = house.add_key(f"maker-of-{name}", "self/virtual.*", *allow)
    asked = {"name": name}
    assert house.tcp("POST", "/v1/virtuals", asked, key=maker).status == 200
    for child in ("north", "south"):
        path = f"/v1/virtuals/{name}/children"
        answer = house.tcp("POST", path, {"child": child}, key=maker)
        assert answer.status == 200, answer.body
    return f"maker-of-{name}"


def test_it_conveys_no_more_than_its_maker_may_call_now(house: Daemon) -> None:
    """Less when the maker has less, and nothing once it is gone."""
    maker = made_by(house, "bounded", "north", "south")
    key = house.add_key("of-bounded", "bounded")
    both = ["north_look", "north_change", "south_look", "south_change"]
    assert listed(house, "/bounded", key=key) == both
    house.control("PATCH", f"/v1/keys/{maker}", {"allow": ["north/look"], "revoke": ["north"]})
    assert listed(house, "/bounded", key=key) == ["north_look", "south_look", "south_change"]
    said = denied(call(house, "/bounded", "north_change", key=key))
    assert said["next"] == "meshctl key edit of-bounded --allow north/change"
    house.control("PATCH", f"/v1/keys/{maker}", {"revoke": ["south"]})
    assert listed(house, "/bounded", key=key) == ["north_look"]
    direct = house.add_key("direct", "bounded", "south/change")
    assert listed(house, "/bounded", key=direct) == ["north_look", "south_change"]
    house.control("DELETE", f"/v1/keys/{maker}")
    for gone in (key, direct):
        found = ask(house, "/bounded", "tools/list", key=gone).json()["result"]
        (paused,) = found["_meta"]["meshctl/paused"]
        assert paused["virtual"] == "bounded"
        assert maker in paused["reason"]
    assert listed(house, "/bounded", key=key) == []
    assert listed(house, "/bounded", key=direct) == ["south_change"]
    assert "revoked" in denied(call(house, "/bounded", "north_look", key=key))["rule"]


@pytest.mark.parametrize("era", ERAS)
def test_a_read_only_key_reads(house: Daemon, north: Upstream, era: str) -> None:
    """By the child's present annotation."""
    key = house.add_key(f"reader-{era}", "team", read_only=True)
    assert listed(house, TEAM, key=key, era=era) == ["north_look", "south_look"]
    assert "isError" not in call(house, TEAM, "north_look", key=key, era=era)["result"]
    said = denied(call(house, TEAM, "north_change", key=key, era=era))
    assert said["next"] == f"meshctl key edit reader-{era} --no-read-only"


def test_one_within_another_conveys_what_its_own_maker_may(house: Daemon) -> None:
    """A grant on the outer one reaches through the inner one, by the outer one's names."""
    virtuals.make(house, "inner")
    virtuals.attach(house, "inner", "north", tools=["look"])
    virtuals.make(house, "outer", "inner")
    key = house.add_key("of-outer", "outer")
    assert listed(house, "/outer", key=key) == ["inner_north_look"]
    assert "isError" not in call(house, "/outer", "inner_north_look", key=key)["result"]
    assert ask(house, "/inner", "tools/list", key=key).status == 403
    within = house.add_key("of-inner", "inner")
    assert listed(house, "/outer", key=within) == ["inner_north_look"]
