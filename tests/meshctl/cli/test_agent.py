"""The small MCP client of the quickstart, against a gateway that is a script of answers."""

import pytest

from meshctl.cli.agent import Agent
from meshd.wire.errors import DaemonDown, UpstreamFailed
from tests.meshctl.cli.gateway import gateway, polite


def test_a_session_from_initialize_to_delete():
    """Handshake, a request whose answer is in a stream, goodbye; the key and session go along."""
    with gateway(polite) as (url, seen):
        with Agent(f"{url}/mcp/example", "mesh_secret") as agent:
            assert agent.ask("tools/list") == {"tools": []}
        methods = [message and message["method"] for _, _, _, message in seen]
        assert methods == ["initialize", "notifications/initialized", "tools/list", None]
        assert [command for command, *_ in seen] == ["POST", "POST", "POST", "DELETE"]
        assert {path for _, path, _, _ in seen} == {"/mcp/example"}
        headers = [headers for _, _, headers, _ in seen]
        assert {h["Authorization"] for h in headers} == {"Bearer mesh_secret"}
        assert [h.get("Mcp-Session-Id") for h in headers] == [None, "s1", "s1", "s1"]
        assert headers[-1]["MCP-Protocol-Version"] == "2025-06-18"


def test_nobody_at_the_door():
    """A refused TCP connection is said to be one, with exit code 3."""
    with gateway(polite) as (url, _):
        pass
    with (
        pytest.raises(DaemonDown, match="nothing answers at http://127") as caught,
        Agent(f"{url}/mcp/example", "k"),
    ):
        pass
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((401, {}, b"no key"), "answered HTTP 401"),
        ((200, {"Content-Type": "application/json"}, b"<html>"), "did not answer in JSON-RPC"),
        ((200, {"Content-Type": "application/json"}, b"[]"), "ended its answer"),
        ((200, {"Content-Type": "text/event-stream"}, b""), "ended its answer"),
        (
            (
                200,
                {"Content-Type": "application/json"},
                b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "broken"}}',
            ),
            "initialize at .* failed: broken",
        ),
    ],
)
def test_an_answer_that_is_none(answer, sentence):
    """Whatever else comes back fails with exit code 7 and says what it was."""
    with gateway(lambda _: answer) as (url, _):
        with (
            pytest.raises(UpstreamFailed, match=sentence) as caught,
            Agent(f"{url}/mcp/example", "k"),
        ):
            pass
        assert caught.value.exit_code == 7


def test_a_failing_session_sends_no_goodbye():
    """An error inside the session is the one that is shown; the connection is just closed."""
    with gateway(polite) as (url, seen):
        with pytest.raises(RuntimeError, match="mine"), Agent(f"{url}/mcp/example", "k"):
            raise RuntimeError("mine")
        assert [command for command, *_ in seen] == ["POST", "POST"]
