"""`/mcp/self` of two orgs: a key manages its own, whatever it names."""

import json

import pytest

from tests.support.daemon import Daemon
from tests.support.tenants import Tenant


@pytest.fixture(scope="module")
def orgs(shared_daemon: Daemon) -> tuple[Tenant, Tenant]:
    """Two orgs, each with a connection and a key of the same names."""
    made = Tenant.made(shared_daemon, "red"), Tenant.made(shared_daemon, "blue")
    for org in made:
        org.connect(f"only-{org.name}")
        org.connect("both")
    return made


def test_a_key_sees_and_changes_its_own_org(
    shared_daemon: Daemon, orgs: tuple[Tenant, Tenant]
) -> None:
    """Names of the other org are unknown, and its calls are in its own records alone."""
    for mine, other in (orgs, orgs[::-1]):
        key = mine.add_key("manager", "self")

        def call(tool: str, key: str = key, **arguments: str) -> dict[str, object]:
            asked = {"name": tool, "arguments": arguments}
            answer = shared_daemon.rpc("self", "tools/call", asked, key=key)
            return dict(answer.json()["result"])

        listed = call("CONNECTION_LIST")["content"]
        assert isinstance(listed, list)
        names = {row["name"] for row in json.loads(listed[0]["text"])}
        assert names == {f"only-{mine.name}", "both"}
        refused = call("CONNECTION_REMOVE", connection=f"only-{other.name}")
        assert refused["isError"] is True
        assert "isError" not in call("CONNECTION_DISABLE", connection="both")
        assert mine.control("GET", "/v1/connections/both")["state"] == "disabled"
        records = mine.control("GET", "/v1/calls?connection=self")
        assert {record["principal"] for record in records} == {"manager"}
        assert len(records) == 3


def test_the_owner_calls_in_the_org_that_is_named(
    shared_daemon: Daemon, orgs: tuple[Tenant, Tenant]
) -> None:
    for org in orgs:
        path = "/v1/connections/self/tools/WHOAMI/call"
        result = org.control("POST", path, {"arguments": {}})["result"]
        assert result["structuredContent"]["org"]["name"] == org.name
        plain = org.control("POST", "/mcp/self/call-tool/WHOAMI", {})
        assert plain["structuredContent"]["org"]["name"] == org.name
    assert shared_daemon.ask("POST", "/mcp/self/call-tool/WHOAMI", {}).status == 400
