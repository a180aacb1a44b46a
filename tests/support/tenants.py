"""One org of a real daemon, asked in by the local owner, and what it has at the beginning."""

import json
from dataclasses import dataclass
from typing import Any, Self

from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon


@dataclass
class Tenant:
    """An org. What is asked here is asked in it."""

    daemon: Daemon
    name: str
    id: str

    @classmethod
    def made(cls, daemon: Daemon, name: str) -> Self:
        """A new org."""
        return cls(daemon, name, daemon.control("POST", "/v1/orgs", {"name": name})["id"])

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A control call on the Unix socket."""
        return self.daemon.ask(method, path, body, Meshctl_Org=self.name, **headers)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """One that must succeed; its JSON."""
        answer = self.ask(method, path, body)
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json()

    def connect(self, name: str, **env: str) -> Any:
        """Connect the tests' stdio server."""
        asked = {"name": name, "command": list(stdio_server.command()), "env": env}
        return self.control("POST", "/v1/stdio-connections", asked)

    def add_key(self, name: str, *allow: str, **more: Any) -> str:
        """Issue a key; its secret. Without `allow` it may use every connection."""
        asked = {"name": name, **({"allow": list(allow)} if allow else {}), **more}
        return str(self.control("POST", "/v1/keys", asked)["key"])

    def lines(self, path: str) -> list[dict[str, Any]]:
        """What a tail has by now."""
        answer = self.ask("GET", path)
        assert answer.status == 200, answer.body
        return [json.loads(line) for line in answer.body.splitlines() if line]
