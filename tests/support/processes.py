"""What the system says of processes: who lives, who is a zombie, what `ps` shows of all."""

import subprocess
import sys


def _ps(*arguments: str) -> list[str]:
    done = subprocess.run(["ps", *arguments], capture_output=True, check=False)
    return done.stdout.decode(errors="replace").splitlines()


def lives(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    found = _ps("-p", str(pid), "-o", "state=")
    return bool(found) and not found[0].strip().startswith("Z")


def parent(pid: int) -> int | None:
    """The process that started it, or took it over; None for one that is gone."""
    found = _ps("-p", str(pid), "-o", "ppid=")
    return int(found[0]) if found else None


def zombies(parent: int) -> list[str]:
    """The ended children that `parent` did not reap."""
    rows = (line.split(maxsplit=3) for line in _ps("-axo", "pid=,ppid=,state=,comm="))
    return [row[3] for row in rows if row[1] == str(parent) and row[2].startswith("Z")]


def shown() -> dict[int, str]:
    """Command line and environment of every process of ours, by pid."""
    with_environment = "-axEww" if sys.platform == "darwin" else "axeww"
    rows = (line.split(maxsplit=1) for line in _ps(with_environment, "-o", "pid=,command="))
    return {int(row[0]): row[1] for row in rows if len(row) == 2}
