"""Runs every command of the tree, one after the other, with everything allowed by the umask.

Prints one JSON line for each: its words, its exit code, and the files of the home that somebody
else may touch after it. Each runs in a fork, so that the imports are paid once.
"""

import json
import os
import signal
import stat
import sys
import traceback
from pathlib import Path

from meshctl.cli.tree import ROWS
from meshctl.main import main

NOWHERE = "http://127.0.0.1:1/mcp"
SECONDS = 30
"""After which a command that waits for somebody is ended."""
LINES = {
    "connection show": "example",
    "connection add": f"web {NOWHERE} --header X-Api-Key:secret",
    "connection edit": "example --trust pinned",
    "connection remove": "web --yes",
    "connection enable": "example",
    "connection disable": "web",
    "connection test": "example",
    "virtual create": "work example",
    "virtual show": "work",
    "virtual edit": "work --description Work.",
    "virtual attach": "work example --tools add --rename add=plus",
    "virtual enable": "work",
    "virtual disable": "work",
    "virtual detach": "work example",
    "virtual remove": "work --yes",
    "key show": "ci",
    "key add": "ci",
    "key edit": "ci --read-only",
    "key rotate": "ci",
    "key revoke": "ci --yes",
    "tool show": "example add",
    "tool call": "example add a=1 b=2",
    "tool diff": "example",
    "tool approve": "example --yes",
    "call show": "CALL",
    "call tail": "--no-follow",
    "event tail": "--no-follow",
    "event publish": 'order.made --id o-17 --data {"no":17}',
    "event show": "o-17",
    "event retry": "o-17",
    "event replay": "o-17",
    "event cancel": "o-17",
    "event ack": "o-17 --for example",
    "event dead": "list",
    "subscription add": "--type order.* --webhook http://127.0.0.1:9/in --name hears",
    "subscription show": "hears",
    "subscription pause": "hears",
    "subscription resume": "hears",
    "subscription test": "hears",
    "subscription sync": "example [] --yes",
    "subscription edit": "hears --owner me",
    "subscription rotate-secret": "hears",
    "subscription remove": "hears --yes",
    "delivery show": "DELIVERY",
    "schedule add": "nightly --type report.due --cron @daily",
    "schedule show": "nightly",
    "schedule pause": "nightly",
    "schedule resume": "nightly",
    "schedule next": "nightly",
    "schedule run": "nightly",
    "schedule edit": "nightly --owner me",
    "schedule remove": "nightly --yes",
    "webhook add": "github --signature github --secret env:HOME",
    "webhook show": "github",
    "webhook pause": "github",
    "webhook resume": "github",
    "webhook edit": "github --owner me",
    "webhook rotate": "github --secret env:HOME",
    "webhook remove": "github --yes",
    "org show": "team",
    "org create": "team",
    "org use": "default",
    "org rename": "team crew --yes",
    "org remove": "crew --yes",
    "db backup": "mesh.backup",
    "db restore": "mesh.backup --yes",
    "db move": "--to sqlite:moved/mesh.db",
    "client install": "cursor --yes",
    "client uninstall": "cursor --yes",
    "config get": "PORT",
    "daemon install": "--yes",
    "daemon uninstall": "--yes",
    "completion": "bash",
    "help": "environment",
    "stdio": "example",
}
"""What follows the words of a command. One that is not here runs with nothing behind it."""
LATER = (
    "virtual detach", "virtual remove", "org remove", "subscription remove", "schedule remove",
    "webhook remove", "connection remove", "key revoke", "daemon stop", "db migrate", "db restore",
    "db move",
)  # fmt: skip
"""They take away what others need, or need it taken away."""
FIRST = (
    "quickstart", "key add", "connection add", "org create", "virtual create", "subscription add",
    "event publish", "schedule add", "webhook add",
)  # fmt: skip


def in_order() -> list[str]:
    """Every command, what makes things first, what ends things last."""
    middle = [row.words for row in ROWS if row.words not in {*FIRST, *LATER}]
    return [*FIRST, *middle, *LATER]


def open_to_others(home: Path) -> list[str]:
    """What in the home has bits for the group or for others."""
    found = [home, *home.rglob("*")]
    return [
        f"{path.relative_to(home)} {stat.S_IMODE(path.lstat().st_mode):o}"
        for path in found
        if not path.is_symlink() and stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]


def run(argv: list[str]) -> int:
    """The exit code of a command line that runs in a fork."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(SECONDS)
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(quiet, number)
        code = 70
        try:
            code = main(argv)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def walk() -> None:
    os.umask(0)
    home = Path(os.environ["MESHCTL_HOME"])
    for words in in_order():
        code = run([*words.split(), *LINES.get(words, "").split()])
        print(json.dumps([words, code, open_to_others(home)]), flush=True)


if __name__ == "__main__":
    walk()
