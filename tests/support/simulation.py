"""The core of the bus in a world of its own: virtual time, daemons that die at any step, bad targets.

Time stands still while something can run, and jumps to the next moment otherwise. Every choice
comes from one seed, so that a run that fails is the same run the next time.
"""

import asyncio
import random
import selectors
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from meshd.bus import dispatcher as bus
from meshd.bus import queue
from meshd.bus.dispatcher import Dispatcher, Subscriber
from meshd.bus.match import read_filters
from meshd.bus.queue import Claim, Queue
from meshd.bus.retry import ATTEMPTS, CRASHES, Outcome
from meshd.core.clock import MICROSECONDS
from meshd.services.bell import Bell
from meshd.services.dead_letters import DeadLetters
from meshd.services.events import Events
from meshd.services.fan_out import FanOut
from meshd.services.intake import Intake
from meshd.services.principal import EVERYTHING, Principal
from meshd.services.subscription_rows import SubscriptionRow
from meshd.store import migrate
from meshd.store.db import Row, Step, StoreUnavailable
from meshd.store.opening import FOLDERS, SQL
from meshd.store.queries import Queries
from meshd.store.scoped import ScopedDatabase

ORG, STORM, END = "org_1", 30.0, 4000.0
"""Seconds in which things go wrong, and after which all has to be done."""
START = 1_700_000_000 * MICROSECONDS
QUERIES = Queries.load(SQL)


class _Timeless(selectors.BaseSelector):
    """Waits for nothing: a wait moves the clock."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits for something that never comes")
        self.now += max(timeout, 0.0)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._timeless = _Timeless()
        super().__init__(self._timeless)

    def time(self) -> float:
        return self._timeless.now


@cache
def _template() -> sqlite3.Connection:
    link = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for migration in migrate.discover(Path(FOLDERS[0]), "sqlite"):
        link.executescript(migration.script)
    link.execute("INSERT INTO orgs (id, name, created_at) VALUES (?, 'o', 0)", (ORG,))
    link.execute("INSERT INTO users (id, name, created_at) VALUES ('usr_1', 'u', 0)")
    return link


@cache
def _database() -> sqlite3.Connection:
    """The one that every world uses, one after the other: its statements stay prepared."""
    link = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _template().backup(link)
    link.row_factory = lambda cursor, row: dict(
        zip([column[0] for column in cursor.description], row, strict=True)
    )
    return link


@dataclass
class Daemon:
    """One life of a daemon. A frozen one goes on later as if nothing had been."""

    name: str
    alive: bool = True
    frozen_until: float = 0.0
    died: asyncio.Event = field(default_factory=asyncio.Event)


class _Database:
    """A `Database` in memory, as one daemon sees it: slow at times, and never after its death."""

    def __init__(self, world: "World", daemon: Daemon) -> None:
        self.dialect = "sqlite" if world.alone else "postgres"
        self._world = world
        self._daemon = daemon

    async def all(self, query: str, /, **params: Any) -> list[Row]:
        await self._step()
        return self._run(query, params)

    async def one(self, query: str, /, **params: Any) -> Row | None:
        rows = await self.all(query, **params)
        return rows[0] if rows else None

    async def write(self, *steps: Step) -> list[list[Row]]:
        await self._step()
        answers = []
        with self._world.link:  # undone if a step fails
            self._world.link.execute("BEGIN")
            for step in steps:
                rows = [self._run(step.query, one) for one in (step.rows or ())]
                answers.append(
                    [] if rows or step.rows is not None else self._run(step.query, step.params)
                )
        await self._step()  # stored, and perhaps never told
        return answers

    def _run(self, query: str, params: Mapping[str, Any]) -> list[Row]:
        found = QUERIES.query(query)
        return self._world.link.execute(found.sql, found.bind(params)).fetchall()

    async def _step(self) -> None:
        world = self._world
        if world.chance.random() < 0.3:
            await asyncio.sleep(world.chance.uniform(0, 0.02))
        if self._daemon.alive and world.stormy and world.chance.random() < world.deadly:
            world.kill(self._daemon)
        if world.stormy and not world.alone and world.chance.random() < world.deadly / 4:
            self._daemon.frozen_until = world.monotonic() + world.chance.uniform(50, 300)
        while (left := self._daemon.frozen_until - world.monotonic()) > 0:
            await asyncio.sleep(left)
        if not self._daemon.alive:
            await asyncio.sleep(0)
            raise StoreUnavailable("this daemon is dead")


@dataclass(frozen=True)
class Try:
    """One attempt as its target saw it."""

    delivery: str
    event: str
    subscription: str
    attempt: int
    fence: int


@dataclass
class World:
    """Two subscriptions, one of them ordered; daemons that publish and deliver; what was seen."""

    seed: int
    alone: bool
    link: sqlite3.Connection = field(init=False)
    chance: random.Random = field(init=False)
    acknowledged: list[str] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    successes: list[Try] = field(default_factory=list)
    hopeless: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.deadly = self.chance.choice((0.0, 0.005, 0.02, 0.05))
        self.faulty = self.chance.choice((0.0, 0.2, 0.5))
        self.link = _database()
        for table in ("delivery_attempts", "deliveries", "events", "subscriptions"):
            self.link.execute(f"DELETE FROM {table}")
        self.link.execute("DELETE FROM sqlite_sequence")
        self.rows = {row.id: row for row in (_row("sub_a", None), _row("sub_b", "subject"))}
        for one in self.rows.values():
            self.link.execute(
                "INSERT INTO subscriptions (id, org_id, name, types, kind, target, maker, owner_id,"
                " created_at) VALUES (?, ?, ?, '[]', 'call', '{}', '{}', 'usr_1', 0)",
                (one.id, ORG, one.name),
            )

    @property
    def stormy(self) -> bool:
        """Whether things still go wrong."""
        return asyncio.get_running_loop().time() < STORM

    def now(self) -> int:
        """Microseconds since the epoch."""
        return START + round(self.monotonic() * MICROSECONDS)

    def monotonic(self) -> float:
        """Seconds."""
        return asyncio.get_running_loop().time()

    def kill(self, daemon: Daemon) -> None:
        """It does nothing from now on."""
        daemon.alive = False
        daemon.died.set()

    def run(self) -> list[str]:
        """Everything, to its end; what was wrong."""
        loop = _Loop()
        try:
            loop.run_until_complete(self._everything())
        finally:
            loop.close()
        return self.broken

    async def _everything(self) -> None:
        lives = [asyncio.create_task(self._lives(n)) for n in range(1 if self.alone else 2)]
        await asyncio.sleep(STORM)
        while self.monotonic() < END and self._open():
            await asyncio.sleep(5)
        for one in lives:
            one.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        self._judge()

    def _open(self) -> int:
        sql = "SELECT COUNT(*) AS n FROM deliveries WHERE available_at IS NOT NULL"
        return int(self.link.execute(sql).fetchone()["n"])

    async def _lives(self, number: int) -> None:
        life = 0
        while True:
            daemon = Daemon(f"run_{number}_{life}")
            await self._live(daemon)
            life += 1
            await asyncio.sleep(self.chance.uniform(0, 3))

    async def _live(self, daemon: Daemon) -> None:
        scoped = ScopedDatabase(_Database(self, daemon), QUERIES)  # type: ignore[arg-type]
        intake, fan_out = Intake(scoped), FanOut(lambda: self.rows)
        subscribers = {one: Subscriber(one, ORG, batches=one == "sub_a") for one in self.rows}

        async def deliver(claims: Sequence[Claim]) -> Sequence[Outcome]:
            return await self._target(daemon, claims)

        async def pause(subscription: str, reason: str) -> None:
            self.broken.append(f"{subscription} was paused: {reason}")

        events = Events(scoped, self, Bell())
        events.deliver_by(fan_out.deliveries)
        dead = DeadLetters(scoped, events, lambda: self.rows, self)
        queue = Queue(scoped, self, daemon.name, dead.of_attempts)
        core = Dispatcher(queue, lambda: subscribers, deliver, pause, self)
        core._jitter = self.chance.random
        core.start()
        publishing = asyncio.create_task(self._publish(daemon, intake, fan_out, core))
        try:
            await daemon.died.wait()
        finally:
            daemon.alive = False
            publishing.cancel()
            await core._tasks.stop()
            await intake.stop()

    async def _publish(
        self, daemon: Daemon, intake: Intake, fan_out: FanOut, core: Dispatcher
    ) -> None:
        for number in range(self.chance.randrange(1, 5)):
            await asyncio.sleep(self.chance.uniform(0, 8))
            if not self.stormy:
                return
            event = _event(f"{daemon.name}-{number}", self.chance.choice("xy"), self.now())
            try:
                await intake.store(ORG, event, fan_out.deliveries(ORG, event))
            except StoreUnavailable:
                return
            if daemon.alive:
                self.acknowledged.append(event["id"])
                core.wake()

    async def _target(self, daemon: Daemon, claims: Sequence[Claim]) -> Sequence[Outcome]:
        tries = [
            Try(one.id, one.event["id"], one.subscription, one.attempt, one.fence) for one in claims
        ]
        self.tries += tries
        faulty = self.faulty if self.stormy else 0.0
        slow = self.chance.random() < faulty / 4
        await asyncio.sleep(self.chance.uniform(1, 200) if slow else self.chance.uniform(0, 0.3))
        if not daemon.alive:
            return [Outcome("failed")] * len(claims)
        outcomes = []
        for one in tries:
            fault = self.chance.random() < faulty
            kind = self.chance.choice(("failed", "deferred", "hopeless")) if fault else "delivered"
            if kind == "delivered":
                self.successes.append(one)
            if kind == "hopeless":
                self.hopeless.add(one.delivery)
            outcomes.append(Outcome(kind, after=self.chance.uniform(0, 5)))
        return outcomes

    def _judge(self) -> None:
        rows = self.link.execute(
            "SELECT d.*, e.id AS event, e.type, e.subject FROM deliveries d JOIN events e"
            " ON e.seq = d.event_seq ORDER BY d.event_seq"
        ).fetchall()
        mine = {(row["event"], row["subscription_id"]): row for row in rows}
        for event in self.acknowledged:
            for subscription in self.rows:
                self._expect((event, subscription) in mine, f"{event} was acknowledged and lost")
        for row in rows:
            self._judge_row(row)
        self._judge_told(rows)
        claims = [(one.delivery, one.fence) for one in self.tries]
        self._expect(len(set(claims)) == len(claims), "a claim was tried twice")
        self._judge_order(rows)

    def _judge_row(self, row: Row) -> None:
        name, tries = row["id"], [one for one in self.tries if one.delivery == row["id"]]
        fences = [one.fence for one in tries]
        self._expect(fences == sorted(fences), f"{name}: fences went back: {fences}")
        self._expect(not fences or max(fences) <= row["fence"], f"{name}: a fence nobody gave")
        took = {one.fence for one in self.successes if one.delivery == name}
        if row["state"] == "done":
            self._expect(row["fence"] in took, f"{name} is done by whose lease was lost")
        elif row["state"] == "dead":
            given_up = name in self.hopeless or row["attempt"] >= ATTEMPTS
            poison = row["fence"] > CRASHES and "poison" in (row["error"] or "")
            self._expect(given_up or poison, f"{name} is dead for no reason: {row['error']}")
        else:
            self.broken.append(f"{name} is still {row['state']} at the end")
        counted = all(1 <= one.attempt <= one.fence for one in tries)
        self._expect(counted, f"{name}: attempts are not counted at their claims")

    def _judge_told(self, rows: list[Row]) -> None:
        """What was given up is told of once, and nothing else is."""
        dead = [row["id"] for row in rows if row["state"] == "dead" and row["type"] == "t"]
        told = self.link.execute(
            "SELECT json_extract(data, '$.delivery') AS id FROM events WHERE type <> 't'"
        ).fetchall()
        ids = sorted(row["id"] for row in told)
        self._expect(ids == sorted(dead), f"dead are {sorted(dead)}, and told of {ids}")

    def _judge_order(self, rows: list[Row]) -> None:
        first: dict[str, int] = {}
        for place, one in enumerate(self.successes):
            if one.subscription == "sub_b":
                first.setdefault(one.delivery, place)
        for key in "xy":
            of_key = [
                row["id"] for row in rows
                if row["subscription_id"] == "sub_b" and row["subject"] == key
                and row["state"] == "done"
            ]  # fmt: skip
            places = [first[one] for one in of_key if one in first]
            self._expect(places == sorted(places), f"the key {key} went out of order: {of_key}")

    def _expect(self, holds: object, otherwise: str) -> None:
        if not holds:
            self.broken.append(otherwise)


def _row(name: str, ordered_by: str | None) -> SubscriptionRow:
    who = Principal("usr_1", "me", "local", ORG, "usr_1", EVERYTHING)
    return SubscriptionRow(
        id=name, org=ORG, name=name, types=("*",), publisher=None, filter=None,
        matches=read_filters([]), kind="call", target={}, url=None, secret=None, maker=who,
        state="active", reason=None, created_at=0, changed_at=None, ordered_by=ordered_by,
        old_secret=None, old_until=None, edition=0,
    )  # fmt: skip


def _event(name: str, subject: str, now: int) -> dict[str, Any]:
    return {
        **dict.fromkeys(("said_time", "content_type", "data_schema", "extensions", "digest", "told")),
        "id": name, "own_id": f"own-{name}", "type": "t", "source": "/s", "subject": subject,
        "time": now, "encoded": 0, "data": "null",
    }  # fmt: skip


def simulate(seed: int) -> list[str]:
    """One run; what was wrong. Half of the seeds have one daemon, half of them two.

    A claim looks at so few deliveries that lines are often longer.
    """
    poll, bus.POLL = bus.POLL, 10.0
    window, queue.WINDOW = queue.WINDOW, 2
    try:
        return World(seed, alone=seed % 2 == 0).run()
    finally:
        bus.POLL, queue.WINDOW = poll, window
