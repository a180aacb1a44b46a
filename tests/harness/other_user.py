"""S01: another user of this machine knocks at the control socket. Needs root, to be that user."""

import json
import os
import socket
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.harness.outcome import Outcome
from tests.support.daemon import Daemon

NOBODY = 65534
TIMES = 100
OPEN = ("/bin/sh", "-c", 'umask 000; exec "$@"', "sh")
KNOCK = """
import json, os, socket, sys
os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
seen = []
for _ in range(int(sys.argv[3])):
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(10)
    try:
        link.connect(sys.argv[1])
        link.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: meshd\\r\\nConnection: close\\r\\n\\r\\n")
        seen.append(link.recv(65536).split(b" ")[1].decode())
    except (OSError, IndexError) as error:
        seen.append(type(error).__name__)
    finally:
        link.close()
print(json.dumps(seen))
"""


def run(seed: int, *, full: bool) -> Outcome:
    """The same in both forms. The seed changes nothing here."""
    found, daemon = Outcome(), Daemon.fresh()
    if os.getuid() != 0:
        found.failures.append("only root can become another user")
        return found
    try:
        modes = _modes(daemon)
        found.expect(set(modes) == {(0o600, 0o700)}, f"modes of socket and home: {modes}")
        refused = _knock(daemon.socket)
        found.expect(set(refused) == {"PermissionError"}, f"closed modes: {set(refused)}")
        daemon.home.chmod(0o755)
        Path(daemon.socket).chmod(0o666)
        forced = _knock(daemon.socket)
        found.expect(set(forced) == {"403"}, f"open modes: {set(forced)}")
        found.expect(daemon.ask("GET", "/v1/status").status == 200, "its owner was refused")
        _links(daemon, found)
        found.numbers |= {
            "starts with 0600 in 0700, also under umask 000": len(modes),
            "refused by the modes": refused.count("PermissionError"),
            "refused by the peer's uid, modes open": forced.count("403"),
        }
    finally:
        daemon.remove()
    return found


def _modes(daemon: Daemon) -> list[tuple[int, int]]:
    """Of the socket and its folder, at two starts, each into a home that stands open."""
    seen = []
    for prefix in ((), OPEN):
        if daemon.process is not None:
            daemon.stop()
        daemon.home.chmod(0o777)
        daemon.start(prefix=prefix)
        path = Path(daemon.socket)
        seen.append((stat.S_IMODE(path.lstat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)))
    return seen


def _knock(path: str) -> list[str]:
    """The status of each answer to another user, or the error."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", KNOCK, path, str(NOBODY), str(TIMES)],
        capture_output=True, check=True,
    )  # fmt: skip
    answers: list[str] = json.loads(done.stdout)
    return answers


def _links(daemon: Daemon, found: Outcome) -> None:
    """A link and somebody's socket at the path are replaced, and nothing happens behind them."""
    path, target = Path(daemon.socket), daemon.home / "target"
    target.write_text("untouched")
    target.chmod(0o600)
    daemon.stop()
    path.symlink_to(target)
    daemon.start()
    kept = target.read_text() == "untouched" and stat.S_ISREG(target.lstat().st_mode)
    found.expect(kept, "what a link pointed to was touched")
    found.expect(stat.S_ISSOCK(path.lstat().st_mode), "a link at the path was followed")
    daemon.stop()
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(path))
        path.chmod(0o777)
        other.listen()
        daemon.start()
        found.expect(daemon.ask("GET", "/v1/status").status == 200, "somebody's socket was kept")
        found.expect(stat.S_IMODE(path.lstat().st_mode) == 0o600, "a socket kept its open mode")
