"""The topics of `meshctl help`: what is true of all commands. Tables are read where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshctl.cli import topic_texts
from meshctl.cli.flags import GLOBAL
from meshd.wire.errors import EXIT_CODES
from meshd.wire.names import RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from meshctl.client.home import Home

VARIABLES: tuple[tuple[str, str], ...] = (
    ("MESHCTL_HOME", "The folder that holds everything; the platform's state folder by default."),
    ("MESHCTL_ORG", "The org to ask in; --org beats it, and it beats meshctl org use."),
    ("MESHCTL_ASCII", "Draw with ASCII characters only."),
    ("NO_COLOR", "No colours (no-color.org)."),
    ("FORCE_COLOR", "Colours even where nobody seems to look."),
    ("TERM", "dumb means no colours."),
    ("XDG_STATE_HOME", "On Linux the parent of the default MESHCTL_HOME."),
    ("XDG_CONFIG_HOME", "On Linux where other programs keep their settings: meshctl client."),
    ("PATH", "Where a service of meshctl daemon install will find programs."),
    ("CLAUDE_CONFIG_DIR", "Where Claude Code keeps its settings: meshctl client."),
)
"""The environment variables that this program reads itself."""

SETTINGS: tuple[tuple[str, str, str], ...] = (
    ("MESHCTL_HOME", "the platform's state folder", "Folder that holds everything."),
    (
        "CONFIG_PATH",
        "config.json in MESHCTL_HOME",
        "JSON file of settings in lower case.",
    ),
    ("PORT", "3000, else the next free one", "TCP port for MCP; 0 picks one."),
    (
        "HOST",
        "127.0.0.1",
        "Where to listen; beyond loopback with TLS or proxies alone.",
    ),
    (
        "TLS_CERT",
        "plain HTTP",
        "PEM file of the certificate chain; SIGHUP reads it.",
    ),
    ("TLS_KEY", "", "PEM file of the certificate's key, not encrypted."),
    (
        "TRUSTED_PROXIES",
        "",
        "Proxies (addresses, CIDRs) that may speak plain HTTP from elsewhere.",
    ),
    (
        "ENABLE_DEBUG_SERVER",
        "false",
        "Show tasks, threads and memory to keys with self/daemon.show.",
    ),
    ("DEBUG_PORT", "9090", "Loopback port of the debug server; 0 picks one."),
    ("BASE_URL", "", "Public URL, when a proxy stands in front; its host is a right Host."),
    ("ALLOWED_HOSTS", "", "More right Host values, comma-separated."),
    ("ALLOWED_ORIGINS", "", "Right Origin values of browser clients, comma-separated."),
    (
        "DATABASE_URL",
        "file:data/mesh.db",
        "postgres://… or file:PATH, calls.db beside it.",
    ),
    ("DATABASE_PG_SSL", "false", "Whether Postgres must prove over TLS who it is."),
    ("OUTBOUND_ALLOW", "", "Hosts and CIDRs reachable although they are cloud metadata."),
    ("METRICS_ACCESS", "key", "Who may GET /metrics: key, loopback, open or off."),
    ("MESHCTL_LOG_LEVEL", "info", "debug, info, warning or error."),
    ("MESHCTL_KEEP_EVENTS", "7d", "How long events are kept: 12h, 30d."),
    ("MESHCTL_KEEP_CALLS", "30d", "How long records of calls are kept."),
    ("MESHCTL_KEEP_WAITING", "7d", "How long a delivery that nobody takes is kept."),
    ("MESHCTL_RATE_LIMIT", "no limit", "Calls a minute that each key may make."),
    ("MESHCTL_PUBLISH_RATE", "5000", "Events a second that each org may publish."),
    (
        "MESHCTL_KEEP_FREE",
        "256",
        "MiB of the disk that events leave free.",
    ),
    (
        "MESHCTL_MASTER_KEY_COMMAND",
        "",
        "Program that prints the vault's master key; run without a shell.",
    ),
    ("CREDENTIALS_DIRECTORY", "", "Set by systemd: meshctl-master-key in it is the master key."),
    ("MESHCTL_KEYRING", "0", "Keep the master key in the system's keyring."),
    ("MESHCTL_MASTER_KEY", "", "The master key itself, where nothing better can keep it."),
    (
        "AUTH_CONFIG_PATH",
        "auth-config.json in MESHCTL_HOME",
        "JSON file of settings about keys.",
    ),
    (
        "MESHCTL_KEY_LIFETIME",
        "as long as it may",
        "How long a key lives that is issued without a word.",
    ),
    (
        "MESHCTL_KEY_MAX_LIFETIME",
        "for ever",
        "How long a key may live, from when that is said.",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "no traces",
        "Collector that gets traces over HTTP (extra otlp).",
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "the endpoint's /v1/traces",
        "The whole URL for traces.",
    ),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "",
        "Headers for the collector: NAME=VALUE, comma-separated.",
    ),
    ("OTEL_SERVICE_NAME", "meshd", "What traces call it."),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "",
        "More about it in traces: NAME=VALUE, comma-separated.",
    ),
    ("OTEL_TRACES_SAMPLER", "parentbased_always_on", "Which calls leave a trace."),
    ("OTEL_TRACES_SAMPLER_ARG", "1", "The share of a traceidratio sampler, 0 to 1."),
    ("OTEL_SDK_DISABLED", "false", "No traces, whatever else is set."),
)
"""Variable, default, help of every setting of the daemon.

Its own table is the owner, out of reach of a client; a test holds this copy to it.
"""

_SOURCES = """\
A setting of meshd may also stand in a file given with --env-file, as KEY=VALUE, and in config.json
with its name in lower case: {"port": 4000, "allowed_hosts": ["mesh.example"]}. A flag beats the
environment, that an env-file, that config.json. Names that config.json should not have, and values
that are not valid, are refused with file and line. What is about keys stands in auth-config.json,
{"keys": {"default_lifetime": "90d", "max_lifetime": "365d"}}, or in config.json as its member
"auth", which is the stronger word. A running daemon takes over changed lists, log level, retention,
rate limits, lifetimes of keys and METRICS_ACCESS on SIGHUP.

  meshctl config list                      each setting with its value, and where it was said
  meshctl config get PORT"""

FILES: tuple[tuple[str, str], ...] = (
    ("meshd.sock", "The socket for control calls. Only your user can open it."),
    ("meshd.lock", "Held by the running daemon; its holder is the only one."),
    ("logs/meshd.log", "What the daemon says about itself: meshctl daemon logs."),
    ("keys/", "The vault's keys. Without them the stored credentials cannot be read."),
    ("org", "The org in use: meshctl org use."),
    ("config.json", "Settings, if you write it: meshctl help environment."),
    ("auth-config.json", "How long keys live, if you write it: meshctl help environment."),
    ("data/", "Connections, keys, events and call records."),
    ("clients/", "What was changed in the settings of other programs, to undo it."),
)
"""What lies in MESHCTL_HOME."""


def environment() -> str:
    """Variables of this program, then the daemon's."""
    lines = ["Variables that meshctl reads:", *_table(VARIABLES)]
    lines += ["", "Variables that meshd reads when it starts:", *_table(setting_lines())]
    lines += ["", *_SOURCES.splitlines()]
    return "\n".join(lines)


def setting_lines() -> list[tuple[str, str]]:
    """Each setting of the daemon with its help and default."""
    return [
        (variable, text + (f" [default: {default}]" if default else ""))
        for variable, default, text in SETTINGS
    ]


def exit_codes() -> str:
    """The table of exit codes."""
    lines = ["What the exit code of a command says:"]
    return "\n".join(lines + _table((str(code), text) for code, text in EXIT_CODES.items()))


def flags() -> str:
    """The global flags."""
    lines = ["These stand anywhere on the line, before or after the command:"]
    rows = (
        (f"{word} {value}".strip(), text + (f" [env: {variable}]" if variable else ""))
        for word, value, variable, text in GLOBAL
    )
    return "\n".join(lines + _table(rows))


def files(home: Home) -> str:
    """What lies where."""
    lines = [f"Everything lies in {home.text}, readable by your user alone:"]
    return "\n".join(lines + _table(FILES))


def names() -> str:
    """Which names are legal."""
    return _NAMES.format(reserved=" ".join(sorted(RESERVED)))


WIDE = 26
"""Characters of the first column at most; a longer word stands out."""


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    pairs = list(rows)
    size = min(max(len(word) for word, _ in pairs), WIDE)
    return [f"  {word:<{size}}  {text}" for word, text in pairs]


_QUICKSTART = """\
  meshctl quickstart                        try everything with an example server

  meshctl connect NAME URL                  put an MCP server behind the daemon
  meshctl tool list NAME                    see its tools
  meshctl tool call NAME TOOL KEY=VALUE     call one
  meshctl add-key KEY --allow NAME          a key for a client
  meshctl client install                    or: let a client on this machine use it
  meshctl call list                         see what went through

The daemon starts by itself; meshctl status shows how things stand."""

_PERMISSIONS = """\
A key may do what its grants say, and nothing denies. A grant is one of

  CONNECTION               every tool of a connection
  CONNECTION/TOOL          one tool; * matches any characters: github/search_*
  VIRTUAL                  what a virtual MCP selects, of its children alone
  VIRTUAL/TOOL             one tool, by its name there
  self                     every management call
  self/CALL                one management call, as self/key.list or self/event.*

What answers with a new secret (key.add, key.rotate) or speaks for others (event.publish_as) has to
be named itself: no * covers it. The
management calls are tools, too, behind the name self: meshctl tool list self. They ask for the
same grants there; a read-only key sees those that only read.

A key made without --allow may use every connection and no management. --read-only is a limit on
top: only tools that their server marks as read-only. Grants follow a connection that is renamed,
and end with one that is removed.

  meshctl add-key ci --allow github/search_* --expires 90d
  meshctl key edit ci --allow jira --revoke github/search_*"""

_ORGS = """\
An org owns connections, keys, events, records and credentials; nothing of another org can be seen
or named in it. There is one to begin with, called default, and nobody needs to think of it.

  meshctl org create team                   make another; the one in use stays in use
  meshctl org use team                      the following commands ask in it
  meshctl key list --org default            one command in another; MESHCTL_ORG does the same

A key belongs to the org it was made in, and that decides. You, at the socket, own every org. Each
has a data key of its own; removing an org destroys it, and with it every credential sealed for the
org, also in copies of the database that were made without that key."""

_JSON = """\
--json answers in JSON on stdout, exactly as the API has it. Fields are only ever added. Lists are
arrays, an empty one is [] and no error. Tails print one object a line. An error is an object
{"error": {"code", "message", "facts", "next"}} on stderr, with the exit code of the text form.

--quiet prints ids only, one a line:

  meshctl key list --quiet | xargs -n 1 meshctl key show --json"""

_BACKUP = """\
A backup is one file (mode 0600) with everything: connections, keys, events, calls, and the vault's
data keys as the master key sealed them. The master key itself is never in it. Keep that elsewhere:
without it the secrets of a backup are lost, together they open everything.

  meshctl db backup mesh.backup             also while meshd runs; prints which key it needs
  meshctl daemon stop
  meshctl db restore mesh.backup            what is there is kept aside
  meshctl db status                         the key it was sealed with, and the key here

The file is a tar of manifest.json, two SQLite databases and SHA256SUMS, whatever the data is on. So
it can be restored to the other kind of database too, and ordinary tools can look into it.

  meshctl db move --to env:TEAM_DATABASE    copy to Postgres (or back), and prove it

A move reads the source and fills an empty target in one transaction; then it counts and sums the
rows of both. Text with U+0000, which Postgres cannot hold, gets U+FFFD there and is counted."""

_SECRETS = """\
Values of --header and --env may stand elsewhere than on the command line, which other users of the
machine can see and the shell keeps:

  @FILE       the text of a file, without its last line end
  @-          stdin
  env:NAME    the variable NAME of your environment

In a header that is the part behind "NAME: ", in --env the part behind "NAME=". What is given is
sealed in the vault; it is shown nowhere again."""

_VAULT = """\
Stored credentials are sealed with a data key of their org, and that with the master key of this
machine. The master key comes from the first of these that is configured; the others are never
asked, whatever that one says:

  1 command      MESHCTL_MASTER_KEY_COMMAND prints it within 5 s; no shell, stderr is dropped
  2 credential   meshctl-master-key among systemd's credentials of the service
  3 keyring      MESHCTL_KEYRING=1: macOS Keychain, Secret Service or KWallet, and no other
  4 file         keys/master.key in the home, yours alone
  5 environment  MESHCTL_MASTER_KEY; it works, and every other source keeps the key better

The first start makes a key in the file, or in the keyring when that is asked for; the other
sources have to supply one. A key is one line, meshctl-master-key-1: and the base64 of 32 bytes:

  printf 'meshctl-master-key-1:%s\\n' "$(head -c 32 /dev/urandom | base64)"

Keep a copy of it: without it nothing that is sealed can be read. When the key is missing, wrong or
cannot be asked for, the daemon serves, locked: status, vault and daemon commands answer, and
everything else says so. Ids of keys are no secrets and tell which key is needed.

  meshctl vault status
  meshctl vault unlock                 ask the source again, or type the key
  meshctl vault unlock @FILE           a key from elsewhere; it is written nowhere
  meshctl vault verify                 does everything open?

A sealed value that was altered or moved does not open, and costs only itself. That the whole
database was put back to an older state cannot be seen from inside it."""

_NAMES = """\
Connections, virtual MCPs and keys have names of 1 to 40 characters out of a-z, 0-9 and -, not
beginning with -. Capitals are folded. No connection has the name of a virtual MCP. Wherever a name
is asked for, an id does as well.

Kept for the product: {reserved}"""


def _system_events(_: Home) -> str:
    from meshctl.cli import system_event_texts  # a table that no other command needs

    return system_event_texts.topic()


TOPICS: Mapping[str, tuple[str, Callable[[Home], str]]] = {
    "quickstart": ("From nothing to a first call.", lambda _: _QUICKSTART),
    "permissions": ("What a key may do, and how to say it.", lambda _: _PERMISSIONS),
    "virtuals": ("Several connections as one MCP server.", lambda _: topic_texts.VIRTUALS),
    "pinning": ("Tools that stay as they were approved.", lambda _: topic_texts.PINNING),
    "orgs": ("Several tenants on one daemon.", lambda _: _ORGS),
    "events": ("What happens, and how to follow it.", lambda _: topic_texts.EVENTS),
    "system-events": ("Events of the mesh itself: types and data.", _system_events),
    "schedules": (
        "Events by the clock: patterns, zones, missed slots.",
        lambda _: topic_texts.SCHEDULES,
    ),
    "webhooks": ("Events that other services send.", lambda _: topic_texts.WEBHOOKS),
    "json": ("Output for programs.", lambda _: _JSON),
    "backup": ("Copies of everything, and another database.", lambda _: _BACKUP),
    "secrets": ("Where values on a command line come from.", lambda _: _SECRETS),
    "vault": ("Where the master key comes from, and a locked start.", lambda _: _VAULT),
    "names": ("Names of connections, virtual MCPs and keys.", lambda _: names()),
    "flags": ("Options of every command.", lambda _: flags()),
    "environment": ("Variables, of meshctl and of meshd.", lambda _: environment()),
    "exit-codes": ("What the exit code says.", lambda _: exit_codes()),
    "files": ("What lies where.", files),
}
"""Each topic: a line about it, and its text for a home."""
