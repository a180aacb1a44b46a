"""R31: one bit of the database or its log flips while no daemon runs.

The daemon then starts and shows exactly what it showed before, or it refuses with the command that
puts a backup in place. What it shows is all that decides: keys and their secrets, connections and
the credentials that their upstream gets, events, tools.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from meshd.store.intact import BLOCK
from tests.harness.outcome import Outcome
from tests.support.daemon import Daemon
from tests.support.upstream import Upstream, upstream

HEADER = "flip-canary-3b1c"
PASSING = ("last_used_at", "seen_at", "state", "reason", "age_s", "listed_at")
"""What a restart may change."""
ADVICE = "meshctl db restore"


@dataclass(frozen=True)
class Files:
    """The database with what stands beside it, as it was when the daemon had ended."""

    content: dict[Path, bytes]

    @classmethod
    def of(cls, daemon: Daemon) -> "Files":
        folder = daemon.home / "data"
        return cls({path: path.read_bytes() for path in sorted(folder.iterdir())})

    def put_back(self) -> None:
        """Everything as it was, each in the file that it was in, and nothing else."""
        for path in next(iter(self.content)).parent.iterdir():
            if path not in self.content:
                path.unlink()
        for path, content in self.content.items():
            path.touch(mode=0o600)
            with path.open("r+b") as file:
                file.write(content)
                file.truncate()

    def flip(self, path: Path, bit: int) -> None:
        """One bit of a file, and nothing of its inode."""
        with path.open("r+b") as file:
            file.seek(bit // 8)
            file.write(bytes([self.content[path][bit // 8] ^ 1 << bit % 8]))


def run(seed: int, *, full: bool) -> Outcome:
    """102 flips, 34 after each way to end; the short form 3."""
    found, chance, each = Outcome(), random.Random(seed), 34 if full else 1
    daemon = Daemon.fresh()
    try:
        with upstream() as server:
            daemon.start()
            secrets = _live(daemon, server)
            tell = partial(_shown, daemon, server, secrets)
            found.numbers |= _flips(daemon, tell, daemon.stop, ("mesh.db",), chance, each, found)
            for files in (("mesh.db",), ("mesh.db-wal",)):
                found.numbers |= _flips(daemon, tell, daemon.kill, files, chance, each, found)
    finally:
        daemon.remove()
    return found


def _live(daemon: Daemon, server: Upstream) -> dict[str, str]:
    """Make what is worth something; secrets by the names of their keys."""
    daemon.connect_http("there", server.url, **{"X-Api-Key": HEADER})
    for number in range(3):
        daemon.connect_http(f"nowhere-{number}", "http://127.0.0.1:1/mcp", **{"X-A": "b" * 200})
    secrets = {
        f"key-{n}": daemon.add_key(f"key-{n}", "there/echo", "self/key.list") for n in range(20)
    }
    for number in range(0, 20, 4):
        daemon.control("DELETE", f"/v1/keys/key-{number}")
    return secrets


def _shown(daemon: Daemon, server: Upstream, secrets: dict[str, str]) -> str:
    """All that the daemon tells, and what an upstream gets, as one text."""
    told = [daemon.ask("GET", f"/v1/{path}") for path in ("keys", "connections", "tools")]
    told += [daemon.ask("GET", f"/v1/keys/{name}") for name in secrets]
    told.append(daemon.ask("GET", "/v1/tail/events?follow=false"))
    doors = {n: daemon.tcp("GET", "/v1/keys", key=secret).status for n, secret in secrets.items()}
    before = len(server.seen)
    call = daemon.rpc("there", "tools/call", {"name": "echo"}, key=secrets["key-1"])
    headers = {seen.header("X-Api-Key") for seen in server.seen[before:]}
    lines = [line for answer in told for line in answer.body.splitlines()]
    parts = [
        *(_lasting(json.loads(line)) for line in lines),
        doors,
        call.status,
        sorted(map(str, headers)),
    ]
    return "\n".join(json.dumps(part, sort_keys=True) for part in parts)


def _lasting(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _lasting(value) for name, value in told.items() if name not in PASSING}
    return [_lasting(value) for value in told] if isinstance(told, list) else told


def _flips(
    daemon: Daemon, tell: Callable[[], str], end: Callable[[], int], names: tuple[str, ...],
    chance: random.Random, count: int, found: Outcome,
) -> dict[str, object]:  # fmt: skip
    """Flip and start so many times, each time from the same files; leaves the daemon running."""
    last = f"last-{end.__name__}-{names[0].replace('.', '-')}"
    daemon.add_key(last)
    expected = tell()
    end()
    files, ends = Files.of(daemon), Counter[str]()
    what = f"{names[0]}, daemon {end.__name__}"
    for number in range(count):
        path = daemon.home / "data" / chance.choice(names)
        content = files.content[path]
        bit = chance.randrange(len(content) * 8)
        places = [bit]
        if number == 0:  # surely inside a value, wherever it stands: SQLite sees nothing there
            found_at = re.finditer(rb"key\.list", content)
            # One bit a block, as bits rot: more is what another program wrote.
            places = [*{m.start() // BLOCK: 8 * m.start() for m in found_at}.values()] or places
        files.put_back()
        for place in places:
            files.flip(path, place)
        verdict = _start(daemon, tell, expected)
        ends[verdict.partition(":")[0]] += 1
        ok = verdict in {"intact", "refused"}
        found.expect(ok, f"{what}, bit {bit % 8} of byte {bit // 8}: {verdict}")
    files.put_back()
    daemon.start()
    return {f"{what}, {count} flips": dict(ends)}


def _start(daemon: Daemon, tell: Callable[[], str], expected: str) -> str:
    try:
        daemon.start()
    except RuntimeError as refused:
        assert daemon.process is not None
        assert daemon.process.stderr is not None
        daemon.process.stderr.close()
        daemon.process = None
        return "refused" if ADVICE in str(refused) else f"vague: {str(refused)[-300:]}"
    try:
        told = tell()
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
    daemon.kill()
    if told == expected:
        return "intact"
    pairs = zip(told.splitlines(), expected.splitlines(), strict=False)
    odd = next(((now[:200], then[:200]) for now, then in pairs if now != then), ("", ""))
    return f"wrong: {odd}"
