"""Subscribers made for MCP Mesh: the `EVENT_*` tools of `/mcp/self`, and a server that uses them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.command import meshctl
from tests.support.daemon import Daemon
from tests.support.subscriber import subscriber
from tests.support.wait import until

GRANTS = ("self/event.*", "self/subscription.*")


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


def ids(daemon: Daemon) -> set[str]:
    return {event["id"] for event in ask(daemon, "RECEIVED")["events"]}


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
    maker = erp.add_key("maker", "*", *GRANTS[:1], "self/key.add")
    assert erp.tcp("POST", "/v1/keys", {"name": "a", "connection": "erp"}, key=maker).status == 200
    less = erp.add_key("less", "*", "self/event.publish", "self/key.add")
    refused = erp.tcp("POST", "/v1/keys", {"name": "b", "connection": "erp"}, key=less)
    assert refused.status == 403
    assert erp.ask("POST", "/v1/keys", {"name": "c", "connection": "gone"}).status == 404
