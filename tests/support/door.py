"""The dispatcher behind a real HTTP server, with handlers that a test puts in place."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import aiohttp
from aiohttp import web

from meshd.api.dispatch import Dispatcher
from meshd.core.answers import requests_up_to
from meshd.core.http_server import MAX_BODY
from meshd.services.principal import Principal
from meshd.wire.calls import CALLS
from meshd.wire.errors import NotFound
from tests.support.principals import local_principal


@dataclass
class Door:
    """One dispatcher. `asked` has every request that reached a handler, `gone` orgs that went."""

    client: aiohttp.ClientSession
    principal: Principal = field(default_factory=local_principal)
    on_socket: bool = True
    url: str = ""
    port: int = 0
    gone: set[str] = field(default_factory=set)
    asked: list[Any] = field(default_factory=list)
    handlers: dict[str, Callable[[Principal, Any], Any]] = field(default_factory=dict)

    def handle(self, name: str, who: Principal, asked: Any) -> Any:
        self.asked.append(asked)
        return self.handlers.get(name, lambda _who, _asked: {"done": name})(who, asked)

    def in_org(self, who: Principal, named: str | None) -> Principal:
        if named not in {None, who.org, "default"} or named in self.gone:
            raise NotFound(f'there is no org "{named}"')
        return who

    async def ask(
        self, method: str, path: str, body: Any = None, data: bytes | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and JSON of an answer. `data` is sent as it is."""
        if body is not None:
            data = json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            names.setdefault("Content-Type", "application/json")
        async with self.client.request(
            method, self.url + path, data=data and BytesIO(data), headers=names
        ) as got:
            return got.status, await got.json(content_type=None)

    async def lines(self, path: str) -> list[Any]:
        """Every line of a stream."""
        async with self.client.get(self.url + path) as got:
            assert got.content_type == "application/x-ndjson"
            return [json.loads(line) for line in (await got.read()).splitlines() if line]


@asynccontextmanager
async def open_door() -> AsyncIterator[Door]:
    """Serve on a free port of the loopback."""
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        made = Door(client)
        dispatcher = Dispatcher(
            CALLS,
            {c.name: lambda who, asked, n=c.name: made.handle(n, who, asked) for c in CALLS},
            made.in_org,
        )
        server = web.Server(
            lambda request: dispatcher.handle(request, made.principal, on_socket=made.on_socket),
            request_factory=requests_up_to(MAX_BODY, body_deadline=0.2),
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.port = runner.addresses[0][1]
        made.url = f"http://127.0.0.1:{made.port}"
        yield made
        await runner.cleanup()
