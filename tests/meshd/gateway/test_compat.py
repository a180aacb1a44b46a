"""Subscribers made for MCP Mesh: the `EVENT_*` tools of `/mcp/self`, and a server that uses them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.command import meshctl
from tests.support.daemon import Daemon
from tests.support.subscriber import subscriber
from tests.support.wait import until

GRANTS = (
    "self/event.publish", "self/event.ack", "self/event.cancel", "self/subscription.add",
    "self/subscription.list", "self/subscription.sync", "self/subscription.remove",
)  # fmt: skip
"""Those that README names, one by one."""


@pytest.fixture(scope="module")
def erp(shared_daemon: Daemon) -> Iterator[Daemon]:
    """A daemon with two connections to one real server that takes events."""
    with subscriber() as url:
        shared_daemon.connect_http("erp", url)
        shared_daemon.connect_http("crm", url)
        yield shared_daemon
        for name in ("erp", "crm"):
            shared_daemon.control("DELETE", f"/v1/connections/{name}")


def tool(daemon: Daemon, key: str, name: str, /, **arguments: Any) -> dict[str, Any]:
    """The structured result of a tool of `self`, or its text where it is an error."""
    asked = {"name": name, "arguments": arguments}
    result = daemon.rpc("self", "tools/call", asked, key=key).json()["result"]
    return dict(result.get("structuredContent") or {"error": result["content"][0]["text"]})


def own_key(daemon: Daemon, connection: str, name: str) -> str:
    return daemon.add_key(name, *GRANTS, f"{connection}/ON_EVENTS", connection=connection)


def ask(daemon: Daemon, name: str, **arguments: Any) -> Any:
    """A tool of the server itself, called by the operator."""
    path = f"/v1/connections/erp/tools/{name}/call"
    answer = daemon.control("POST", path, {"arguments": arguments})
    return answer["result"]["structuredContent"]


def test_a_server_syncs_its_subscriptions_and_receives_its_events(erp: Daemon) -> None:
    """From its configuration on: it subscribes, hears, publishes as itself, puts off and acks."""
    key = own_key(erp, "erp", "erp-bus")
    url = f"{erp.url}/mcp/self"
    types = ["invoice.made", "invoice.later"]
    synced = ask(erp, "ON_MCP_CONFIGURATION", url=url, key=key, types=types)
    assert [synced[part] for part in ("created", "updated", "deleted", "unchanged")] == [2, 0, 0, 0]
    assert {one["eventType"] for one in synced["subscriptions"]} == set(types)
    erp_id = erp.control("GET", "/v1/connections/erp")["id"]
    assert {one["connectionId"] for one in synced["subscriptions"]} == {erp_id}
    again = ask(erp, "ON_MCP_CONFIGURATION", url=url, key=key, types=types)
    assert [again[part] for part in ("created", "unchanged")] == [0, 2]

    made = ask(erp, "ASK", tool="EVENT_PUBLISH", arguments={"type": "invoice.made", "data": 0})
    assert made["source"] == f"/connections/{erp_id}"
    later = ask(erp, "ASK", tool="EVENT_PUBLISH", arguments={"type": "invoice.later"})
    until(lambda: {made["id"], later["id"]} <= ids(erp))
    (got,) = [one for one in ask(erp, "RECEIVED")["events"] if one["id"] == made["id"]]
    assert (got["type"], got["source"], got["data"]) == ("invoice.made", made["source"], 0)
    until(lambda: states(erp, later["id"]) == ["waiting"])
    acked = ask(erp, "ASK", tool="EVENT_ACK", arguments={"eventId": later["id"]})
    assert acked == {"success": True, "eventId": later["id"]}
    assert states(erp, later["id"]) == ["done"]

    fewer = ask(erp, "ON_MCP_CONFIGURATION", url=url, key=key, types=types[:1])
    assert (fewer["deleted"], fewer["unchanged"]) == (1, 1)


def test_a_server_is_called_at_times(erp: Daemon) -> None:
    """It subscribes to `cron/NAME/PATTERN` of its own, and publishes that type by that pattern."""
    key = erp.add_key("erp-cron", *GRANTS, "self/schedule.*", "erp/ON_EVENTS", connection="erp")
    kind, other = "cron/poll/* * * * * *", "cron/poll/0 0 1 1 * *"
    synced = ask(erp, "ON_MCP_CONFIGURATION", url=f"{erp.url}/mcp/self", key=key, types=[kind])
    assert [synced[part] for part in ("created", "unchanged")] == [1, 0]
    again = ask(erp, "ON_MCP_CONFIGURATION", url=f"{erp.url}/mcp/self", key=key, types=[kind])
    assert [again[part] for part in ("created", "updated", "unchanged")] == [0, 0, 1]

    wish = {"type": kind, "cron": "* * * * * *", "data": {"n": 1}}
    made = ask(erp, "ASK", tool="EVENT_PUBLISH", arguments=wish)
    twice = ask(erp, "ASK", tool="EVENT_PUBLISH", arguments={**wish, "data": {"n": 2}})
    assert (twice["id"], twice["duplicate"]) == (made["id"], True)
    foreign = ask(erp, "ASK", tool="EVENT_PUBLISH", arguments={"type": other})
    until(lambda: [one for one in received(erp) if one["type"] == kind])
    (first, *_) = [one for one in received(erp) if one["type"] == kind]
    assert (first["source"], first["data"]) == (made["source"], {"n": 1})
    assert foreign["deliveries"] == 0, "the * of a cron pattern is no wildcard"

    stranger = erp.add_key("crm-cron", *GRANTS, "self/schedule.*", connection="crm")
    assert "did not make" in tool(erp, stranger, "EVENT_CANCEL", eventId=made["id"])["error"]
    gone = ask(erp, "ASK", tool="EVENT_CANCEL", arguments={"eventId": made["id"]})
    assert gone == {"success": True, "eventId": made["id"]}
    schedules = {one["id"] for one in erp.control("GET", "/v1/schedules")}
    assert made["id"] not in schedules
    ask(erp, "ON_MCP_CONFIGURATION", url=f"{erp.url}/mcp/self", key=key, types=[])


def test_an_event_is_delivered_at_its_time_unless_it_is_cancelled(erp: Daemon) -> None:
    """`deliverAt` puts it off; a time that is past is now."""
    key = own_key(erp, "erp", "erp-later")
    url, kind = f"{erp.url}/mcp/self", "note.due"
    ask(erp, "ON_MCP_CONFIGURATION", url=url, key=key, types=[kind])
    wish = {"type": kind, "deliverAt": "2100-01-01T00:00:00.000Z"}
    later = ask(erp, "ASK", tool="EVENT_PUBLISH", arguments=wish)
    (row,) = erp.control("GET", f"/v1/deliveries?event={later['id']}")
    assert (row["state"], row["next_at"][:10]) == ("waiting", "2100-01-01")
    gone = ask(erp, "ASK", tool="EVENT_CANCEL", arguments={"eventId": later["id"]})
    assert gone == {"success": True, "eventId": later["id"]}
    assert states(erp, later["id"]) == ["cancelled"]
    past = {"type": kind, "deliverAt": "2020-01-01T00:00:00Z"}
    now = ask(erp, "ASK", tool="EVENT_PUBLISH", arguments=past)
    until(lambda: now["id"] in ids(erp))
    ask(erp, "ON_MCP_CONFIGURATION", url=url, key=key, types=[])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"deliverAt": "2100-01-01T00:00:00Z", "cron": "@daily"}, "exclude each other"),
        ({"deliverAt": "2100-01-01T00:00:00Z", "deliver_at": "1h"}, "exclude each other"),
        ({"deliverAt": "tomorrow"}, "neither a duration nor an instant"),
        ({"cron": "0 0 31 2 *"}, "is no cron pattern"),
        ({"cron": "@daily", "id": "mine"}, "a type, a subject and data alone"),
        ({"cron": "@daily", "extensions": {"a": 1}}, "a type, a subject and data alone"),
        ({"deliver": "1h"}, "EVENT_PUBLISH: "),
    ],
)
def test_a_time_that_is_none_is_refused(
    erp: Daemon, request: pytest.FixtureRequest, arguments: dict[str, Any], said: str
) -> None:
    """And nothing is published."""
    name = f"times-{request.node.callspec.indices['arguments']}"
    key = erp.add_key(name, *GRANTS, "self/schedule.*", connection="erp")
    assert said in tool(erp, key, "EVENT_PUBLISH", type="never.made", **arguments)["error"]
    assert erp.control("GET", "/v1/events?type=never.made") == []


def test_a_schedule_needs_the_grants_of_its_own_calls(erp: Daemon) -> None:
    """To publish events is not to make schedules, nor to cancel one is to cancel the other."""
    key = erp.add_key("no-cron", "self/event.*", connection="erp")
    asked = {"type": "tick", "cron": "@daily"}
    assert "schedule.publish" in tool(erp, key, "EVENT_PUBLISH", **asked)["error"]
    assert "schedule.remove" in tool(erp, key, "EVENT_CANCEL", eventId="sch_0")["error"]
    assert tool(erp, key, "EVENT_PUBLISH", type="tick")["type"] == "tick"


def received(daemon: Daemon) -> list[dict[str, Any]]:
    return list(ask(daemon, "RECEIVED")["events"])


def ids(daemon: Daemon) -> set[str]:
    return {event["id"] for event in received(daemon)}


def states(daemon: Daemon, event: str) -> list[str]:
    return [row["state"] for row in daemon.control("GET", f"/v1/deliveries?event={event}")]


def test_a_connection_ends_only_what_is_its_own(erp: Daemon) -> None:
    mine, other = own_key(erp, "erp", "erp-own"), own_key(erp, "crm", "crm-own")
    made = tool(erp, mine, "EVENT_SUBSCRIBE", eventType="pay.in", filter="subject=eu-*")
    row = made["subscription"]
    assert (row["eventType"], row["enabled"]) == ("pay.in", True)
    twice = tool(erp, mine, "EVENT_SUBSCRIBE", eventType="pay.in", filter="subject=eu-*")
    assert twice["subscription"]["id"] == row["id"], "the same again is the same one"
    listed = tool(erp, mine, "EVENT_SUBSCRIPTION_LIST", connectionId=row["connectionId"])
    assert row["id"] in {one["id"] for one in listed["subscriptions"]}
    assert (
        "did not make" in tool(erp, other, "EVENT_UNSUBSCRIBE", subscriptionId=row["id"])["error"]
    )
    event = tool(erp, mine, "EVENT_PUBLISH", type="pay.none")
    assert "did not publish" in tool(erp, other, "EVENT_CANCEL", eventId=event["id"])["error"]
    assert tool(erp, mine, "EVENT_CANCEL", eventId=event["id"]) == {
        "success": False, "eventId": event["id"],
    }, "nothing of it waited"  # fmt: skip
    gone = tool(erp, mine, "EVENT_UNSUBSCRIBE", subscriptionId=row["id"])
    assert gone == {"success": True, "subscriptionId": row["id"]}


def test_a_sync_leaves_alone_what_others_subscribed(erp: Daemon) -> None:
    """An operator's subscription of the connection is the operator's; a filter may change."""
    body = {"types": ["ops.*"], "connection": "crm", "name": "by-hand"}
    erp.control("POST", "/v1/subscriptions", body)
    key = own_key(erp, "crm", "crm-sync")
    first = tool(erp, key, "EVENT_SYNC_SUBSCRIPTIONS", subscriptions=[{"eventType": "a"}])
    wanted = [{"eventType": "a", "filter": "subject=x"}, {"eventType": "b", "publisher": "erp"}]
    second = tool(erp, key, "EVENT_SYNC_SUBSCRIPTIONS", subscriptions=wanted)
    assert [second[part] for part in ("created", "updated", "deleted")] == [1, 1, 0]
    by_type = {one["eventType"]: one for one in second["subscriptions"]}
    assert by_type["a"]["id"] == first["subscriptions"][0]["id"], "it keeps what waits for it"
    assert by_type["b"]["publisher"] == erp.control("GET", "/v1/connections/erp")["id"]
    last = tool(erp, key, "EVENT_SYNC_SUBSCRIPTIONS", subscriptions=[])
    assert (last["deleted"], last["subscriptions"]) == (2, [])
    names = {row["name"] for row in erp.control("GET", "/v1/subscriptions")}
    assert "by-hand" in names
    erp.control("DELETE", "/v1/subscriptions/by-hand")


def test_what_a_connection_says_of_itself_counts_for_nothing(erp: Daemon) -> None:
    """With the calls themselves, too, a key for one connection ends nothing of another's."""
    mine = own_key(erp, "erp", "erp-only")
    more = ("self/subscription.*",)
    taker = erp.add_key("erp-taker", *GRANTS, *more, "*", connection="erp")
    theirs = tool(erp, own_key(erp, "crm", "crm-mine"), "EVENT_SUBSCRIBE", eventType="deal.*")
    path = f"/v1/subscriptions/{theirs['subscription']['id']}"
    erp.control("POST", f"{path}/pause")
    event = erp.control("POST", "/v1/events", {"type": "deal.done", "data": 0})["id"]
    acked = erp.tcp("POST", f"/v1/events/{event}/ack", {"connection": "crm"}, key=mine)
    assert acked.status == 403
    assert "speaks for erp" in acked.json()["error"]["message"]
    assert acked.json()["error"]["next"] == f"meshctl event ack {event} --for erp"
    cancelled = erp.tcp("POST", f"/v1/events/{event}/cancel", {}, key=mine)
    assert "event list --source /connections/" in cancelled.json()["error"]["next"]
    asked = [("DELETE", path, None), ("POST", f"{path}/resume", {}), ("POST", f"{path}/pause", {}),
             ("PATCH", path, {"owner": "me"})]  # fmt: skip
    for method, where, body in asked:
        refused = erp.tcp(method, where, body, key=taker)
        assert refused.status == 403, (method, where)
        assert refused.json()["error"]["next"] == "meshctl subscription list"
    assert erp.tcp("POST", f"/v1/events/{event}/ack", {"connection": "erp"}, key=mine).status == 200
    erp.control("DELETE", path)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("EVENT_SUBSCRIBE", {"eventType": "a"}),
        ("EVENT_UNSUBSCRIBE", {"subscriptionId": "sub_0"}),
        ("EVENT_ACK", {"eventId": "evt_0"}),
        ("EVENT_SYNC_SUBSCRIPTIONS", {"subscriptions": []}),
    ],
)
def test_who_is_no_connection_s_own_is_told_how_to_be(
    erp: Daemon, name: str, arguments: dict[str, Any]
) -> None:
    key = erp.add_key("nobody-" + name[6:].lower().replace("_", "-"), *GRANTS)
    daemon_says = tool(erp, key, name, **arguments)["error"]
    if name != "EVENT_UNSUBSCRIBE":  # what there is not is not found first
        assert "add-key NAME --for CONNECTION" in daemon_says
    assert set(tool(erp, key, name, **arguments)) == {"error"}


@pytest.mark.parametrize("arguments", [{}, {"eventId": 1}, {"eventId": "e", "event": "e"}])
def test_another_shape_is_refused(erp: Daemon, arguments: dict[str, Any]) -> None:
    key = erp.add_key(f"shape-{len(str(arguments))}", *GRANTS, connection="erp")
    assert "EVENT_ACK: " in tool(erp, key, "EVENT_ACK", **arguments)["error"]


def test_the_call_s_name_is_the_permission_of_its_tool(erp: Daemon) -> None:
    key = erp.add_key("only-ack", "self/event.ack", "erp/ON_EVENTS", connection="erp")
    listed = erp.rpc("self", "tools/list", key=key).json()["result"]["tools"]
    assert {"EVENT_ACK"} == {one["name"] for one in listed if one["name"].startswith("EVENT_")}
    assert "denied" in tool(erp, key, "EVENT_SUBSCRIBE", eventType="a")["error"]
    deaf = erp.add_key("deaf", *GRANTS, "erp/RECEIVED", connection="erp")
    assert "ON_EVENTS" in tool(erp, deaf, "EVENT_SUBSCRIBE", eventType="a")["error"]


def test_a_key_for_a_connection_is_shown_and_not_given_away(erp: Daemon) -> None:
    """Speaking for a connection is publishing as somebody else: who may not cannot hand it on."""
    made = meshctl(erp, "add-key", "shown-for", "--for", "erp", "--json")
    assert json.loads(made.out)["connection"] == "erp"
    assert "for        erp\n" in meshctl(erp, "key", "show", "shown-for").out
    keys = json.loads(meshctl(erp, "key", "list", "--json").out)
    assert {key["name"]: key["connection"] for key in keys}["shown-for"] == "erp"
    maker = erp.add_key("maker", "*", "self/event.publish_as", "self/key.add")
    assert erp.tcp("POST", "/v1/keys", {"name": "a", "connection": "erp"}, key=maker).status == 200
    less = erp.add_key("less", "*", "self/event.*", "self/key.add")
    refused = erp.tcp("POST", "/v1/keys", {"name": "b", "connection": "erp"}, key=less)
    assert refused.status == 403
    assert erp.ask("POST", "/v1/keys", {"name": "c", "connection": "gone"}).status == 404
