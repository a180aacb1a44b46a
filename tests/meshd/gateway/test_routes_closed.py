"""Every route there is, with every kind of credential that is none: 401, 403 or 404."""

import re

import pytest

from meshd.wire.calls import CALLS
from tests.support import stdio_server
from tests.support.daemon import Daemon
from tests.support.wait import until

PUBLIC = {("GET", "/health"), ("HEAD", "/health"), ("GET", "/ready"), ("HEAD", "/ready")}
"""All that answers 200 to anybody."""
PATHS = {
    *((call.method, re.sub(r"\{\w+\}", "stand-in", call.path)) for call in CALLS),
    *((method, path)
      for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
      for path in (
          "/", "/mcp", "/mcp/", "/mcp/stand-in", "/mcp/self", "/mcp/nothing", "/v1", "/v1/",
          "/v1/nothing", "/openapi.json", "/metrics", "/debug", "/health", "/ready", "/healthz",
          "/.well-known/oauth-protected-resource", "/mcp/stand-in/.well-known/x", "/auth/login",
          "/events/default", "/hooks/x", "/hooks/", "/hooks", "/o/default/mcp", "/favicon.ico", "/health/", "/HEALTH",
          "/v1/../health", "/%68ealth", "//health",
      )),
}  # fmt: skip


@pytest.fixture(scope="module")
def credentials(shared_daemon: Daemon) -> dict[str, dict[str, str]]:
    """Headers by what is wrong with them."""
    shared_daemon.connect("stand-in", *stdio_server.command())
    live = shared_daemon.add_key("live")
    revoked = shared_daemon.add_key("revoked")
    shared_daemon.control("DELETE", "/v1/keys/revoked")
    expired = shared_daemon.add_key("expired", expires="1s")
    until(lambda: shared_daemon.tcp("GET", "/v1/whoami", key=expired).status == 401)
    texts = {
        "expired": f"Bearer {expired}", "revoked": f"Bearer {revoked}", "malformed": "Bearer x",
        "cut": f"Bearer {live[:-1]}", "of another kind": f"Bearer {live.replace('mshs_', 'mshu_')}",
        "by another scheme": f"Basic {live}", "empty": "Bearer ", "twice": f"Bearer {live} {live}",
    }  # fmt: skip
    return {"none": {}, **{name: {"Authorization": text} for name, text in texts.items()}}


def test_what_answers_to_anybody_is_exactly_the_documented_list(
    shared_daemon: Daemon, credentials: dict[str, dict[str, str]]
) -> None:
    """And of that it does not matter what is sent along."""
    assert {("GET", "/v1/status"), ("POST", "/v1/keys"), ("DELETE", "/v1/keys/stand-in")} <= PATHS
    for given in credentials.values():
        answers = {
            (method, path): shared_daemon.tcp(method, path, **given).status
            for method, path in sorted(PATHS)
        }
        assert {at for at, status in answers.items() if status < 400} == PUBLIC
        others = {at: s for at, s in answers.items() if at[1] not in {"/health", "/ready"}}
        assert {at: s for at, s in others.items() if s not in {200, 401, 403, 404}} == {}
        inside = [s for (_, path), s in answers.items() if re.match(r"/(mcp|v1)/\w", path)
                  and ".well-known" not in path and ".." not in path]  # fmt: skip
        assert set(inside) == {401}


def test_with_a_key_what_only_the_socket_has_is_404(shared_daemon: Daemon) -> None:
    """Not 403: over TCP it does not exist."""
    key = shared_daemon.add_key("everything", "self")
    calls = [call for call in CALLS if call.socket_only]
    assert calls
    for call in calls:
        path = re.sub(r"\{\w+\}", "stand-in", call.path)
        assert shared_daemon.tcp(call.method, path, key=key).status == 404
