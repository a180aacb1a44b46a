"""Call records: taken on the hot path as references, worked out and written in batches later."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from random import Random
from secrets import token_bytes
from typing import Any

from msgspec import Raw

from meshd.core.clock import MICROSECONDS, Clock, instant, iso
from meshd.services.bell import Bell
from meshd.services.call_tally import CallTally
from meshd.services.directory import ConnectionRow, Directory
from meshd.services.grants import SELF
from meshd.services.limits import check_limit, check_tail
from meshd.services.lookup import find_connection
from meshd.services.principal import Principal
from meshd.services.record_rows import Ended, Stopwatch, Taken, ended
from meshd.services.tails import Tails
from meshd.store.db import Row, Step, StoreError
from meshd.store.scoped import OrgDatabase, ScopedDatabase
from meshd.wire.call import Record, RecordDetail, RecordList, RecordTail, Stages
from meshd.wire.errors import NotFound

log = logging.getLogger(__name__)

MAX_QUEUED = 20_000
MAX_QUEUED_BYTES = 64 * 1024 * 1024
BATCH = 500
SETTLE = 0.25
GATHER = 0.2
"""Seconds in which a batch gathers, unless somebody waits to read."""

Hear = Callable[[Sequence[Ended]], None]
"""Takes calls that ended, some tenths of a second later, and must not wait."""


@dataclass(slots=True)
class Counters:
    """How many records were written, and how many had to be dropped because the queue was full."""

    written: int = 0
    dropped: int = 0


class Records:
    """The queue, its writer, and what operators read."""

    def __init__(self, db: ScopedDatabase, directory: Directory, clock: Clock) -> None:
        self._db = db
        self._directory = directory
        self._clock = clock
        self._queue: deque[Taken] = deque()
        self._queued_bytes = 0
        self._taken = self._done = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._writing = asyncio.Lock()
        self._random = Random(token_bytes(32))  # noqa: S311 - ids are no secrets; urandom is slow
        self._hearers: list[Hear] = []
        self.bell = Bell()
        self._tails = Tails("call.after", "call.last", db, self.bell)
        self.counters = Counters()
        self.tally = CallTally()
        self.heeds_traces = False
        """Whether somebody wants to know which trace a call belongs to."""

    def take(
        self,
        connection: ConnectionRow,
        principal: Principal,
        tool: str,
        watch: Stopwatch,
        *,
        arguments: bytes,
        response: bytes | None,
        error: str | None = None,
        client: str | None = None,
        traceparent: str | None = None,
    ) -> str:
        """Queue the record of one call and give its id. Never waits.

        References and numbers only: what they mean is worked out when they are written. Dropped
        and counted when the queue is full.
        """
        made = f"call_{self._random.getrandbits(80):020x}"
        taken = Taken(
            id=made, org=connection.org, connection_id=connection.id,
            connection=connection.name, bodies=connection.bodies, tool=tool,
            principal_id=principal.id, principal=principal.name, watch=watch,
            arguments=arguments, response=response, error=error, client=client,
            traceparent=traceparent,
        )  # fmt: skip
        size = taken.size
        if len(self._queue) >= MAX_QUEUED or self._queued_bytes + size > MAX_QUEUED_BYTES:
            self.counters.dropped += 1
            self.tally.lose(taken)
            return made
        self._queue.append(taken)
        self._queued_bytes += size
        self._taken += 1
        if not self._wake.is_set():
            self._wake.set()
        return made

    async def write_batches(self) -> None:
        """Write what is queued, for ever. Cancelling it leaves the rest to `flush`."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER):
                    await self._hurry.wait()
            await self.flush()

    async def flush(self) -> None:
        """Write everything queued by now."""
        async with self._writing:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
                try:
                    read = await self._write(batch)
                except asyncio.CancelledError:
                    self._queue.extendleft(reversed(batch))  # a second write of a row is ignored
                    raise
                self._queued_bytes -= sum(taken.size for taken in batch)
                self._done += len(batch)
                self._tell(batch, read)
                self.bell.ring()
            self._hurry.clear()

    def on_ended(self, hear: Hear) -> None:
        """Tell of calls that ended, written or not."""
        self._hearers.append(hear)

    def _tell(self, batch: Sequence[Taken], read: Sequence[Ended]) -> None:
        self.tally.count(read)
        if len(read) < len(batch):
            known = {one.taken.id for one in read}
            for taken in batch:
                if taken.id not in known:
                    self.tally.lose(taken)
        for hear in self._hearers:
            hear(read)

    async def _write(self, batch: Sequence[Taken]) -> list[Ended]:
        """Write a batch, org by org. What ended after its org was removed leaves no record."""
        read = await asyncio.to_thread(_read, batch)
        self.counters.dropped += len(batch) - len(read)
        by_org: dict[str, list[dict[str, Any]]] = {}
        for one in read:
            by_org.setdefault(one.row["org_id"], []).append(one.row)
        for org, mine in by_org.items():
            try:
                if org in self._directory.latest.orgs:
                    await self._db.org(org).write_many("call.add", mine)
                    self.counters.written += len(mine)
            except StoreError as error:
                self.counters.dropped += len(mine)
                log.warning("%d call records could not be written: %s", len(mine), error)
        return read

    async def erase(self, org: str) -> None:
        """Drop every record of an org that the directory does not know any more."""
        await self.flush()  # a batch that was begun before is written now
        db = self._db.org(org)
        while (await db.write(Step("call.erase")))[0]:
            pass
        await self._db.wipe()

    async def erase_orphans(self) -> None:
        """Drop the records of orgs that are gone: a daemon may have died while it did."""
        found = [row["org_id"] for row in await self._db.all("call.orgs")]
        await self._directory.refresh()  # an org is there before its records
        for org in found:
            if org not in self._directory.latest.orgs:
                await self.erase(org)

    @property
    def queued(self) -> int:
        """Records that wait to be written."""
        return len(self._queue)

    async def settle(self) -> None:
        """Wait, at most `SETTLE` seconds, for what is queued at this moment."""
        goal = self._taken
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                while self._done < goal:
                    self._hurry.set()
                    await self.bell.wait(SETTLE)

    async def all(self, who: Principal, asked: RecordList) -> list[Record]:
        """Newest first.

        Raises:
            NotFound: there is no such connection.
            BadRequest: the limit is out of range.
        """
        check_limit(asked.limit)
        connection = None
        if asked.connection is not None:
            connection = SELF
            if asked.connection.casefold() != SELF:
                connection = find_connection(self._directory.view, who.org, asked.connection).id
        await self.settle()
        rows = await self._db.org(who.org).all(
            "call.list", connection=connection, failed=int(asked.failed), limit=asked.limit
        )
        return [_record(row) for row in rows]

    async def show(self, who: Principal, call: str) -> RecordDetail:
        """One record with its stages and bodies.

        Raises:
            NotFound: there is none of that id in the org.
        """
        await self.settle()
        row = await self._db.org(who.org).one("call.show", id=call)
        if row is None:
            raise NotFound(f'there is no call "{ascii(call[:60])[1:-1]}"', next="meshctl call list")
        return RecordDetail(
            stages=Stages(
                receive=row["receive_us"] / 1000, decide=row["decide_us"] / 1000,
                upstream=row["upstream_us"] / 1000, answer=row["answer_us"] / 1000,
            ),
            arguments=_raw(row["arguments"]), result=_raw(row["result"]), cut=bool(row["cut"]),
            client=row["client"], **_fields(row),
        )  # fmt: skip

    async def count_today(self, who: Principal) -> int:
        """Calls since midnight UTC."""
        now = self._clock.now()
        midnight = now - now % (86400 * MICROSECONDS)
        row = await self._db.org(who.org).one("call.count_since", time=midnight)
        return int(row["n"]) if row else 0

    async def tail(self, who: Principal, asked: RecordTail) -> AsyncIterator[Record | None]:
        """Records after the cursor, oldest first; None when nothing came for a while.

        Raises:
            BadRequest: `after`, `since` or `limit` is not valid.
        """
        check_tail(asked.after, asked.limit)
        left = asked.limit
        start = await self._start(self._db.org(who.org), asked)
        async with aclosing(self._tails.rows(who.org, start, follow=asked.follow)) as rows:
            async for row in rows:
                yield None if row is None else _record(row)
                if row is not None and left is not None:
                    left -= 1
                    if left == 0:
                        return

    async def _start(self, db: OrgDatabase, asked: RecordTail) -> int:
        await self.settle()
        if asked.after is not None:
            return asked.after
        if asked.since is not None:
            moment = instant(asked.since, self._clock.now(), ahead=False)
            row = await db.one("call.before_time", time=moment)
        elif asked.follow:
            row = await db.one("call.last")
        else:
            row = {"seq": 0}
        return int(row["seq"]) if row else 0


def _read(batch: Sequence[Taken]) -> list[Ended]:
    """The calls of a batch. Bodies are foreign: one that no rule foresaw costs its record only."""
    read = []
    for item in batch:
        try:
            read.append(ended(item))
        except Exception:
            log.exception("the record of %s could not be made", item.id)
    return read


def _raw(value: bytes | None) -> Raw | None:
    return None if value is None else Raw(bytes(value))


def _fields(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"], "at": iso(row["at"]), "connection": row["connection"],
        "tool": row["tool"], "principal": row["principal"], "ok": bool(row["ok"]),
        "error": row["error"], "duration_ms": row["duration_us"] / 1000, "seq": row["seq"],
    }  # fmt: skip


def _record(row: Row) -> Record:
    return Record(**_fields(row))
