"""R27: the same event published a hundred times at once is one event; another of its id is refused.

The full form does it at two daemons on one Postgres, a hundred events; the short form at one on a
file, five.
"""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from uuid import uuid4

from tests.harness.outcome import Outcome
from tests.support.daemon import Daemon
from tests.support.wait import until

TIMES = 100
TOGETHER = 16


def run(seed: int, *, full: bool) -> Outcome:
    """Publish, count what is stored, and what was answered."""
    found, events = Outcome(), 100 if full else 5
    with ExitStack() as stack:
        daemons = _daemons(stack, full=full)
        key = daemons[0].add_key("publisher", "self/event.publish")
        for daemon in daemons:  # what one made, the others know within a second
            until(lambda one=daemon: one.tcp("GET", "/v1/unknown", key=key).status == 404)
        with ThreadPoolExecutor(TOGETHER) as pool:
            for number in range(events):
                _one(daemons, key, f"{seed}-{number}", pool, found)
        listed = daemons[0].control("GET", "/v1/events?type=dedupe&limit=1000")
        found.expect(len(listed) == events, f"{len(listed)} events of {events} are stored")
        other = daemons[0]
        made = other.control("POST", "/v1/orgs", {"name": "another"})
        body = {"type": "dedupe", "id": f"{seed}-0", "data": 1}
        answered = other.ask("POST", "/v1/events", body, Meshctl_Org=made["id"])
        found.expect(not answered.json().get("duplicate", True), "another org's id was refused")
    found.numbers |= {"daemons": len(daemons), "events": events, "published each": TIMES}
    return found


def _daemons(stack: ExitStack, *, full: bool) -> list[Daemon]:
    env: dict[str, str] = {}
    if full:
        from tests.support.postgres import running

        server = stack.enter_context(running(uuid4().hex))
        env = {"DATABASE_URL": stack.enter_context(server.schema())}
    first = Daemon.fresh(**env)
    stack.callback(first.remove)
    first.start()
    if not full:
        return [first]
    second = Daemon.fresh(**env, MESHCTL_MASTER_KEY=_master_key(first))
    stack.callback(second.remove)
    return [first, second.start()]


def _master_key(daemon: Daemon) -> str:
    return (daemon.home / "keys" / "master.key").read_text().strip()


def _one(
    daemons: list[Daemon], key: str, name: str, pool: ThreadPoolExecutor, found: Outcome
) -> None:
    body = {"type": "dedupe", "id": name, "data": {"no": name}}

    def publish(number: int) -> tuple[int, bool]:
        daemon = daemons[number % len(daemons)]
        answered = daemon.tcp("POST", "/v1/events", body, key=key)
        return answered.status, bool(json.loads(answered.body).get("duplicate"))

    answers = Counter(pool.map(publish, range(TIMES)))
    right = answers == {(200, False): 1, (200, True): TIMES - 1}
    found.expect(right, f"{name}: answered {dict(answers)}")
    changed = daemons[-1].tcp("POST", "/v1/events", {**body, "data": 2}, key=key)
    found.expect(changed.status == 409, f"{name}: other content was answered {changed.status}")
