"""Whoever knows the URL of a webhook and cannot sign keeps nobody from it who can."""

from collections.abc import AsyncIterator
from unittest.mock import MagicMock

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request

from meshd.bus import signing
from meshd.core.http_peers import Peers
from meshd.core.secret import Secret
from meshd.gateway.hooks_in import HooksIn
from meshd.services import forgeries, webhooks
from meshd.services.forgeries import Forgeries
from meshd.services.webhooks import Webhooks
from meshd.wire.errors import RateLimited
from meshd.wire.webhook import WebhookNew
from tests.support.bus import Bus
from tests.support.floors import Floors

SECRET = "whsec_" + "c2VjcmV0IG9mIDI0IGJ5dGVzIG9yIHNv"
PROXY, LOOPBACK, FORGER, SENDER = "10.0.0.1", "127.0.0.1", "203.0.113.7", "203.0.113.8"


class Door:
    """The webhook, and who stands in front of it."""

    def __init__(self, house: Floors, bus: Bus) -> None:
        self.house = house
        self.webhooks = Webhooks(
            house.scoped, house.directory, house.events, bus.publishing, bus.delivering._seals,
            lambda: "http://here", house.clock,
        )  # fmt: skip
        self.forgeries = Forgeries(house.clock.monotonic)
        self.hooks = HooksIn(self.webhooks, self.forgeries, Peers([PROXY]).is_single)
        self.path = ""
        self.sent = 0

    async def send(self, address: str, *, signed: bool) -> web.StreamResponse:
        self.sent += 1
        body = b"{}"
        transport = MagicMock()
        transport.get_extra_info = lambda name, default=None: (
            (address, 1) if name == "peername" else default
        )
        payload = StreamReader(MagicMock(_reading_paused=False), 2**16)
        payload.feed_data(body)
        payload.feed_eof()
        seconds = self.house.clock.now() // 1_000_000
        headers = signing.headers([Secret(SECRET)], f"m-{self.sent}", seconds, body)
        request = make_mocked_request(
            "POST", self.path, {**(headers if signed else {}), "Content-Type": "application/json"},
            transport=transport, payload=payload,
        )  # fmt: skip
        return await self.hooks.handle(request, lambda _: None)


@pytest.fixture
async def door(house: Floors) -> AsyncIterator[Door]:
    bus = Bus.over(house)
    made = Door(house, bus)
    asked = WebhookNew(name="pay", signature="standard", signing=SECRET)
    url = (await made.webhooks.add(house.owner, asked)).url
    made.path = url.removeprefix("http://here")
    yield made
    for pool in (bus.delivering._trusted, bus.delivering._public):
        await pool.close()


@pytest.mark.parametrize("address", [PROXY, LOOPBACK, "::1", FORGER])
async def test_what_is_not_signed_uses_up_nothing_of_the_sender(
    door: Door, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it comes from: behind a proxy both have one address."""
    monkeypatch.setattr(webhooks, "PER_MINUTE", 2)
    monkeypatch.setattr(forgeries, "PER_MINUTE", 3)
    for _ in range(5):
        assert (await door.send(address, signed=False)).status in {401, 429}
    sender = SENDER if address == FORGER else address
    statuses = [(await door.send(sender, signed=True)).status for _ in range(3)]
    assert statuses == [202, 202, 429], "what it signed is counted alone"


async def test_a_forger_is_turned_away_unread_until_a_while_has_passed(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgeries, "PER_MINUTE", 3)
    statuses = [(await door.send(FORGER, signed=False)).status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    refused = await door.send(FORGER, signed=False)
    assert refused.headers["Retry-After"] == "20"
    assert (await door.send(SENDER, signed=False)).status == 401
    door.house.clock.advance(20)
    await door.house.directory.refresh()
    assert (await door.send(FORGER, signed=False)).status == 401


def test_addresses_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgeries, "MANY", 3)
    monkeypatch.setattr(forgeries, "PER_MINUTE", 1)
    counted = Forgeries(lambda: 0.0)
    for address in "abcd":
        counted.count(address)
    assert len(counted) == 3
    counted.check("a")
    with pytest.raises(RateLimited):
        counted.check("d")
