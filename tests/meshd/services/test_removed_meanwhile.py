"""A subscription that is removed while another daemon publishes for it."""

import asyncio
from pathlib import Path

import asyncpg

from meshd.wire.subscription import SubscriptionRemove, WebhookAdd
from tests.support.bus import Bus
from tests.support.floors import floors

WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def test_what_was_just_published_for_it_waits_for_nobody(dsn: str, tmp_path: Path) -> None:
    """Each unit began before the other ended, and the event is stored first."""
    async with floors(tmp_path, dsn) as house:
        bus = Bus.over(house)
        asked = WebhookAdd(types=["*.made"], webhook="https://hooks.example/in", name="hook")
        made = await bus.subscriptions.add_webhook(house.owner, asked)
        link = await asyncpg.connect(dsn)
        try:
            await link.execute("SELECT set_config('meshctl.org', '*', false)")
            async with link.transaction():
                await link.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended('events ' || $1, 0))",
                    house.owner.org,
                )
                await link.execute(
                    "INSERT INTO events (org_id, id, type, source, time, data)"
                    " VALUES ($1, 'evt_1', 'order.made', '/', 1, 'null')",
                    house.owner.org,
                )
                await link.execute(
                    "INSERT INTO deliveries (id, org_id, event_seq, subscription_id, subscription,"
                    " available_at, waits_from, created_at) SELECT 'dlv_1', org_id, seq, $1, 'hook',"
                    " 1, 1, 1 FROM events WHERE id = 'evt_1'",
                    made.id,
                )
                removing = asyncio.create_task(
                    bus.subscriptions.remove(house.owner, SubscriptionRemove(subscription="hook"))
                )
                async with asyncio.timeout(60):
                    while not await link.fetch(WAITING) and not removing.done():
                        await asyncio.sleep(0.01)
            await removing
        finally:
            await link.close()
        assert [row.state for row in await bus.rows()] == ["cancelled"]
        for pool in (bus.delivering._trusted, bus.delivering._public):
            await pool.close()
