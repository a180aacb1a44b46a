"""What only certain modules may do, with the reason why each of them does.

An entry that is not needed any more is a defect as well: the list must not grow by itself.
"""

import re
from typing import NamedTuple

import pytest

from tests.rules.sources import Source, sources


class Rule(NamedTuple):
    """`pattern` matches dotted names that a module uses, or calls if `called`; whole names."""

    pattern: str
    owners: dict[str, str]
    called: bool = True

    def broken_by(self, source: Source) -> set[str]:
        """The names that match, whoever may use them."""
        names = source.called if self.called else source.used
        return {name for name in names if re.fullmatch(self.pattern, name)}


RULES = {
    "begins background work": Rule(
        r"(.+\.)?(create_task|ensure_future|run_coroutine_threadsafe|Thread|Timer|\w+PoolExecutor)",
        {
            "meshd.core.watchdog": "a thread that sees the event loop stand still; leaving joins it",
            "meshd.core.otlp": "a thread that waits for a collector; closing joins it for a while",
            "meshd.core.tasks": "owns what outlives a request: a name, an owner, a stop",
            "meshd.gateway.plain": "the call behind one answer, cancelled where that answer ends",
            "meshd.gateway.progress": "the writer of one answer, cancelled where that answer ends",
            "meshd.proxy.child": "the end of one child, which a cancelled caller must not stop",
            "meshd.store.writer": "the one thread that writes; closing joins it",
            "meshctl.client.bridge": "one thread a request; the process ends with its client",
            "meshctl.client.start": "reaps the daemon if it ends before this command",
            "meshctl.tui.feed": "one thread a stream; they end with the dashboard",
        },
    ),
    "writes to stdout": Rule(
        r"print|sys\.(__)?stdout(__)?(\..+)?",
        {
            "meshctl.cli.output": "the one writer of answers",
            "meshctl.main": "flushes it, and closes it for a reader that left",
            "meshd.vault.sources.keyring_process": "a pipe to the daemon that asked it",
            "meshd.main": "prints what `meshd doctor` and `meshd config` found",
        },
        called=False,
    ),
    "writes to stderr": Rule(
        r"sys\.(__)?stderr(__)?(\..+)?",
        {
            "meshctl.cli.output": "notes and next steps",
            "meshctl.cli.fail": "the one writer of errors",
            "meshctl.cli.ask": "questions, since stdout is the answer's",
            "meshctl.client.bridge": "its stdout belongs to the protocol",
            "meshctl.main": "flushes it before the hard exit",
            "meshd.main": "an error before there is a log",
            "meshd.dev": "that it starts again, in the terminal of the one who edits",
        },
        called=False,
    ),
    "opens sealed values": Rule(
        r".*\b_?vault\.open|meshd\.vault\.box\..+",
        {
            "meshd.services.credentials": "for the one upstream that needs them",
            "meshd.services.webhook_seals": "for the one request to a webhook, or from one",
            "meshd.vault.vault": "the vault itself",
        },
    ),
    "reveals a secret": Rule(
        r".*\.reveal",
        {
            "meshd.services.keys": "a fresh key, shown once",
            "meshd.services.subscriptions": "a fresh signing secret, shown once",
            "meshd.core.otlp": "headers for the collector of traces",
            "meshd.bus.signing": "that secret, into the signature",
            "meshd.bus.hook_signatures": "a sender's secret, into what its signature must be",
            "meshd.proxy.webhook": "the URL of one webhook",
            "meshd.store.opening": "the password of a server, into its driver",
            "meshd.proxy.http": "the headers and the URL of one upstream",
            "meshd.proxy.environment": "the environment of one child",
            "meshd.proxy.child": "what must never be told from that child's stderr",
            "meshd.vault.box": "keys into the cipher",
            "meshd.services.unlocking": "a master key that somebody gave",
            "meshd.vault.sources.environment": "the master key that was a variable",
            "meshd.vault.master": "the key into its own file and derivations",
            "meshd.vault.vault": "values into the cipher",
        },
    ),
    "reaches out over the network": Rule(
        r"aiohttp\.(ClientSession|\w+Connector|request)|(urllib\.request|http\.client)\..+"
        r"|(.+\.)?(create_connection|open_connection|sock_connect|getaddrinfo)|.+\.HttpPool",
        {
            "meshd.proxy.outbound": "makes the one pool, and resolves names under the rules",
            "meshd.proxy.dial": "connects to what was resolved so, and to nothing else",
        },
    ),
    "decides": Rule(
        r"meshd\.services\.access\.Decision|(.+\.)?covers",
        {
            "meshd.services.access": "the one authorization function",
            "meshd.gateway.policy": "names what every holder of a grant may do",
        },
    ),
    "opens a database": Rule(
        r"(aio)?sqlite3?\.connect|asyncpg\.(connect|create_pool)",
        {
            "meshd.store.sqlite": "one writing connection a file, or the log corrupts",
            "meshd.store.postgres_pool": "the pool, and the connection that listens",
            "meshd.store.sqlite_file": "a new file that nobody has open",
            "meshd.store.sqlite_reading": "reads beside the writer, and cannot write",
        },
    ),
    "starts processes": Rule(
        r"subprocess\.(run|Popen|check_\w+|call)|.*\bsubprocess_(exec|shell)"
        r"|asyncio\.create_subprocess_\w+|os\.(exec\w+|spawn\w+|posix_spawnp?|fork\w*|system|popen)",
        {
            "meshd.proxy.child": "stdio servers: a group each, reaped, recorded",
            "meshd.vault.sources.program": "what prints the master key, for one answer",
            "meshd.proxy.watchdog": "the helper that kills what a killed daemon leaves",
            "meshd.dev": "the daemon, again and again",
            "meshd.proxy.process_table": "asks ps where there is no /proc",
            "meshctl.client.start": "the daemon",
            "meshctl.client.program": "the daemon's program, for one answer",
            "meshctl.cli.doctor": "the daemon's own checks",
        },
    ),
    "reads the environment": Rule(
        r"os\.(environb?|getenv)(\..+)?",
        {
            "meshctl.main": "hands it to the command",
            "meshctl.tui.command": "how Textual is told of the terminal and of colours",
            "meshctl.client.start": "hands it to the daemon",
            "meshd.main": "hands it to the settings",
            "meshd.proxy.child": "hands the harmless part to children",
        },
        called=False,
    ),
}


@pytest.mark.parametrize("what", RULES)
def test_only_its_owners_do_this(what):
    rule = RULES[what]
    found = {source.name: names for source in sources() if (names := rule.broken_by(source))}
    strangers = {name: names for name, names in found.items() if name not in rule.owners}
    assert strangers == {}, f"only {', '.join(rule.owners)} {what}"
    assert set(rule.owners) - set(found) == set(), "these need their entry no more"


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("begins background work", "import asyncio as a\na.create_task(f())"),
        ("begins background work", "from asyncio import ensure_future as later\nlater(f())"),
        ("begins background work", "loop.create_task(f())"),
        ("begins background work", "import threading\nthreading.Thread(target=f).start()"),
        ("writes to stdout", "print(1)"),
        ("writes to stdout", "f(print)"),
        ("writes to stdout", "from sys import stdout\nstdout.write('x')"),
        ("writes to stderr", "import sys\nsys.stderr.write('x')"),
        ("opens sealed values", "self._vault.open(org, table, row, field, blob)"),
        ("opens sealed values", "from meshd.vault.box import unlock as u\nu(blob)"),
        ("reveals a secret", "make().secret.reveal()"),
        ("reaches out over the network", "import aiohttp\naiohttp.ClientSession()"),
        ("reaches out over the network", "from urllib.request import urlopen\nurlopen(u)"),
        ("reaches out over the network", "await loop.create_connection(f, host, 443)"),
        ("reaches out over the network", "import meshd.proxy.http_pool as p\np.HttpPool(anywhere)"),
        ("decides", "from meshd.services import access\naccess.Decision(True, 'me')"),
        ("decides", "scope.covers(kind, name)"),
        ("opens a database", "import sqlite3\nsqlite3.connect('x')"),
        ("starts processes", "import subprocess\nsubprocess.run(['x'])"),
        ("starts processes", "loop.subprocess_exec(f, 'x')"),
        ("reads the environment", "from os import environ\nenviron['HOME']"),
    ],
)
def test_a_stranger_is_found(what, text):
    assert RULES[what].broken_by(Source.of("meshd.stranger", text))
