"""What a power cut leaves, at the worst of moments: right after each acknowledgement.

The daemon runs under strace. Its writes to the database are done again on copies, of which only
those count that were synced before the acknowledgement was sent; and once more with a random part
of those that were not. SQLite opens what is left, and everything acknowledged has to be in it.
That a file exists counts from its first sync.
"""

import itertools
import random
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.outcome import Outcome
from tests.support.daemon import Daemon
from tests.support.launched import unsynced
from tests.support.strace import Change, contents

NOWHERE = "http://127.0.0.1:1/mcp"


@dataclass
class Disk:
    """What is surely on the disk, and what was written since, by file."""

    synced: dict[str, bytearray] = field(default_factory=dict)
    waiting: dict[str, list[Change]] = field(default_factory=dict)

    def take(self, change: Change) -> None:
        """Go on by one system call."""
        if change.kind == "sync":
            for earlier in self.waiting.pop(change.path, []):
                _apply(self.synced.setdefault(change.path, bytearray()), earlier)
        elif change.kind == "unlink":
            self.synced.pop(change.path, None)
            self.waiting.pop(change.path, None)
        else:
            self.waiting.setdefault(change.path, []).append(change)

    def lay_out(self, folder: Path, chance: random.Random | None = None) -> None:
        """Write the files: what is synced, and with `chance` a part of what is not."""
        for path in self.synced.keys() | (self.waiting.keys() if chance else set()):
            content = bytearray(self.synced.get(path, b""))
            for change in self.waiting.get(path, []) if chance else []:
                if chance is not None and chance.random() < 0.5:
                    _apply(content, change)
            (folder / Path(path).name).write_bytes(content)


def _apply(content: bytearray, change: Change) -> None:
    if change.kind == "truncate":
        del content[change.at :]
        content.extend(b"\0" * (change.at - len(content)))
    else:
        content.extend(b"\0" * (change.at - len(content)))
        content[change.at : change.at + len(change.data)] = change.data


@dataclass(frozen=True)
class Replayed:
    """How many acknowledgements held, and what SQLite said of the files that did not open."""

    acknowledged: int
    lost: list[str]
    damaged: list[str]


def run(seed: int, *, full: bool) -> Outcome:
    """300 changes, so that checkpoints are among them; the short form 8. Both also unsynced."""
    found, changes = Outcome(), 300 if full else 8
    durable = replay(seed, changes)
    lossy = replay(seed, changes, prefix=unsynced())
    found.numbers |= {
        "acknowledged": durable.acknowledged,
        "lost, synchronous=FULL": len(durable.lost),
        "lost, synchronous=NORMAL": len(lossy.lost),
        "damaged, either": len(durable.damaged) + len(lossy.damaged),
    }
    found.expect(durable.acknowledged == changes, "not every acknowledgement was seen")
    found.expect(not durable.lost, f"acknowledged and lost: {durable.lost[:3]}")
    found.expect(not durable.damaged, f"damaged: {durable.damaged[:3]}")
    found.expect(not lossy.damaged, f"damaged without syncs: {lossy.damaged[:3]}")
    found.expect(lossy.lost, "without syncs nothing was lost: this run shows nothing")
    return found


def replay(seed: int, changes: int, prefix: tuple[str, ...] = ()) -> Replayed:
    """Make the changes one after the other, then look at the disk after each of them."""
    folder = Path(tempfile.mkdtemp(prefix="cut-"))
    try:
        names, trace = _make(folder, random.Random(seed), changes, prefix)
        return _look(folder, names, trace, random.Random(seed))
    finally:
        shutil.rmtree(folder)


def _make(
    folder: Path, chance: random.Random, changes: int, prefix: tuple[str, ...]
) -> tuple[list[set[str]], Path]:
    """What has to be there after each change: keys, connections and events by name; and the trace."""
    trace = folder / "trace"
    daemon = Daemon.fresh()
    there: list[set[str]] = []
    now = set[str]()
    try:
        daemon.start(prefix=(*contents(trace), *prefix))
        for number in range(changes):
            name = f"n{number}"
            match chance.choices(("event", "key", "connection", "revoke"), (6, 4, 2, 2))[0]:
                case "revoke" if keys := sorted(n for n in now if n.startswith("key ")):
                    gone = chance.choice(keys)
                    daemon.control("DELETE", f"/v1/keys/{gone.removeprefix('key ')}")
                    now.remove(gone)
                case "event":
                    daemon.control("POST", "/v1/events", {"type": "cut", "id": name})
                    now.add(f"event {name}")
                case "connection":
                    daemon.connect_http(name, NOWHERE, **{"X-Api-Key": "secret"})
                    now.add(f"connection {name}")
                case _:
                    daemon.add_key(name)
                    now.add(f"key {name}")
            there.append(set(now))
    finally:
        daemon.remove()
    return there, trace


def _look(
    folder: Path, there: list[set[str]], trace: Path, chance: random.Random
) -> Replayed:  # fmt: skip
    disk, lost, damaged, seen = Disk(), list[str](), list[str](), 0
    expected = iter(there)
    for change in Change.read(trace, "mesh.db"):
        if change.kind != "answer":
            disk.take(change)
            continue
        wanted = next(expected, None)
        if wanted is None:
            break
        seen += 1
        for torn in (None, chance):
            copy = folder / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir()
            disk.lay_out(copy, torn)
            present, verdict = _found(copy / "mesh.db")
            damaged += [verdict] * (verdict != "ok")
            lost += [f"after {seen}: {one}" for one in sorted(present ^ wanted)]
    return Replayed(seen, lost, damaged)


def _found(path: Path) -> tuple[set[str], str]:
    if not path.exists():
        return set(), "ok"
    with closing(sqlite3.connect(path)) as link:
        try:
            tables = {row[0] for row in link.execute("SELECT name FROM sqlite_schema")}
            rows = itertools.chain.from_iterable(
                link.execute(f"SELECT '{table} ' || {name} FROM {table}s WHERE {where}").fetchall()
                for table, name, where in (
                    ("key", "name", "1"),
                    ("connection", "name", "1"),
                    ("event", "id", "type = 'cut'"),
                )
                if f"{table}s" in tables
            )
            verdict: str = link.execute("PRAGMA integrity_check").fetchone()[0]
            return {row[0] for row in rows}, verdict
        except sqlite3.DatabaseError as error:
            return set(), str(error)
