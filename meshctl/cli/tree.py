"""Every command, in the order of the help. The only list of commands there is.

A row names the function behind a command; its module is imported only when the command runs.
How the rows become typer commands stands in `build`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Row(NamedTuple):
    """One command. `also` are short verbs for the same function.

    `summary` is the first line of the function's docstring, so that the help needs no imports.
    `start`: whether the command may start a daemon where none runs.
    """

    words: str
    target: str
    summary: str
    also: tuple[str, ...] = ()
    start: bool = True
    hidden: bool = False

    @property
    def noun(self) -> str:
        """The first word of two, or nothing."""
        head, space, _ = self.words.partition(" ")
        return head if space else ""

    @property
    def verb(self) -> str:
        """The last word."""
        return self.words.rpartition(" ")[2]


NOUNS: Mapping[str, str] = {
    "connection": "MCP servers behind the daemon.",
    "org": "Tenants of one daemon, with nothing in common.",
    "virtual": "Several connections served as one MCP server.",
    "key": "What clients authenticate with.",
    "tool": "The tools that connections offer.",
    "call": "Records of the calls that went through.",
    "event": "What happens, as it happens.",
    "subscription": "Who hears which events.",
    "delivery": "Which event went where.",
    "schedule": "Events that come again and again.",
    "webhook": "Where other services send their events.",
    "client": "Programs on this machine that use MCP servers.",
    "vault": "The keys that stored credentials are sealed with.",
    "config": "The daemon's settings.",
    "db": "The database: migrations, backups, another place.",
    "daemon": "The process in the middle.",
}

_CLI = "meshctl.cli"

ROWS: tuple[Row, ...] = (
    Row("status", f"{_CLI}.status:status", "Show how things stand.", start=False),
    Row(
        "quickstart",
        f"{_CLI}.quickstart:quickstart",
        "Connect an example server, call it as a client would, and show what was recorded.",
    ),
    Row("tui", "meshctl.tui.command:tui", "Watch connections, calls and events on one screen."),
    Row(
        "doctor",
        f"{_CLI}.doctor:doctor",
        "Check this machine, the files and the daemon.",
        start=False,
    ),
    Row(
        "metrics",
        f"{_CLI}.metrics:read",
        "Read the daemon's numbers: calls, connections, records, events, the process.",
        start=False,
    ),
    Row("whoami", f"{_CLI}.status:whoami", "Show who the daemon takes you for."),
    Row("version", f"{_CLI}.version:version", "Print the version.", start=False),
    Row(
        "stdio",
        f"{_CLI}.stdio:stdio",
        "Serve a connection on stdin and stdout, for clients that know nothing else.",
    ),
    Row(
        "help",
        f"{_CLI}.help:help_",
        "Explain a topic or a command, or list the topics.",
        start=False,
    ),
    Row("connection list", f"{_CLI}.connection:list_", "List connections with their state."),
    Row(
        "connection show",
        f"{_CLI}.connection:show",
        "Show one connection; what is secret is named, never shown.",
    ),
    Row(
        "connection add",
        f"{_CLI}.connection:add",
        "Connect an MCP server: a URL, a program after `--`, or a paste on stdin.",
        also=("connect",),
    ),
    Row(
        "connection edit",
        f"{_CLI}.connection:edit",
        "Change a connection; credentials stay with the origin they were given for.",
    ),
    Row(
        "connection remove",
        f"{_CLI}.connection:remove",
        "Remove a connection, its credentials and its grants.",
    ),
    Row("connection enable", f"{_CLI}.connection:enable", "Serve a connection again."),
    Row(
        "connection disable",
        f"{_CLI}.connection:disable",
        "Stop serving a connection, keeping everything about it.",
    ),
    Row(
        "connection test",
        f"{_CLI}.connection:test",
        "Reach the MCP server and list its tools afresh.",
    ),
    Row("org list", f"{_CLI}.org:list_", "List orgs; the one in use is marked."),
    Row("org show", f"{_CLI}.org:show", "Show one org."),
    Row("org create", f"{_CLI}.org:create", "Make an org; the one in use stays in use."),
    Row("org use", f"{_CLI}.org:use", "Choose the org that the following commands ask in."),
    Row("org rename", f"{_CLI}.org:rename", "Give an org another name; what it owns stays."),
    Row(
        "org remove",
        f"{_CLI}.org:remove",
        "Remove an org with its connections, keys, events, records and credentials.",
    ),
    Row("virtual list", f"{_CLI}.virtual:list_", "List virtual MCPs."),
    Row(
        "virtual show",
        f"{_CLI}.virtual:show",
        "Show one virtual MCP with what it is made of.",
    ),
    Row(
        "virtual create",
        f"{_CLI}.virtual:create",
        "Serve several connections as one MCP server, with all their tools at first.",
    ),
    Row(
        "virtual edit",
        f"{_CLI}.virtual:edit",
        "Change a virtual MCP, but not what it is made of.",
    ),
    Row(
        "virtual attach",
        f"{_CLI}.virtual:attach",
        "Put a connection into a virtual MCP, or change what is selected of it.",
    ),
    Row(
        "virtual detach",
        f"{_CLI}.virtual:detach",
        "Take a connection out of a virtual MCP.",
    ),
    Row("virtual enable", f"{_CLI}.virtual:enable", "Serve a virtual MCP again."),
    Row(
        "virtual disable",
        f"{_CLI}.virtual:disable",
        "Stop serving a virtual MCP, keeping everything about it.",
    ),
    Row(
        "virtual remove",
        f"{_CLI}.virtual:remove",
        "Remove a virtual MCP and its grants; its connections stay.",
    ),
    Row("key list", f"{_CLI}.key:list_", "List keys."),
    Row("key show", f"{_CLI}.key:show", "Show one key, never its secret."),
    Row(
        "key add",
        f"{_CLI}.key:add",
        "Issue a key; its secret is shown once, alone on stdout.",
        also=("add-key",),
    ),
    Row("key edit", f"{_CLI}.key:edit", "Change what a key may do; its secret stays."),
    Row(
        "key rotate", f"{_CLI}.key:rotate", "Give a key a new secret; the one before stops at once."
    ),
    Row("key revoke", f"{_CLI}.key:revoke", "Revoke a key at once."),
    Row("tool list", f"{_CLI}.tool:list_", "List the tools one may call."),
    Row("tool show", f"{_CLI}.tool:show", "Show one tool with its arguments."),
    Row("tool call", f"{_CLI}.tool:call", "Call a tool."),
    Row(
        "tool diff",
        f"{_CLI}.approval:diff",
        "Show how tools differ from what was approved, or from before their last change.",
    ),
    Row(
        "tool approve",
        f"{_CLI}.approval:approve",
        "Approve tools of a pinned connection as they are now.",
    ),
    Row("call list", f"{_CLI}.call:list_", "List calls, newest first."),
    Row(
        "call show",
        f"{_CLI}.call:show",
        "Show one call with its stages, and its bodies as far as they are kept.",
    ),
    Row("call tail", f"{_CLI}.call:tail", "Follow calls as they end, until Ctrl-C."),
    Row(
        "event tail",
        f"{_CLI}.event:tail",
        "Follow events as they happen, until Ctrl-C; nothing is missed over a reconnect.",
        also=("tail-events",),
    ),
    Row(
        "event publish",
        f"{_CLI}.publish:publish",
        "Publish an event; it and its deliveries are on disk when this returns.",
    ),
    Row(
        "event list",
        f"{_CLI}.publish:list_",
        "List events, newest first, with how their deliveries stand.",
    ),
    Row("event show", f"{_CLI}.publish:show", "Show one event with its data."),
    Row(
        "event retry",
        f"{_CLI}.publish:retry",
        "Deliver now what waits of an event, and what was given up.",
    ),
    Row(
        "event replay",
        f"{_CLI}.publish:replay",
        "Deliver an event again, also where it was delivered or cancelled.",
    ),
    Row("event cancel", f"{_CLI}.publish:cancel", "Deliver nothing more of an event."),
    Row(
        "event ack",
        f"{_CLI}.publish:ack",
        "Call an event done for a connection: nothing more of it is handed over there.",
    ),
    Row(
        "event stats",
        f"{_CLI}.publish:stats",
        "Show how many deliveries wait, failed or are under way.",
    ),
    Row(
        "event dead",
        f"{_CLI}.publish:dead",
        "List what was given up; try it again, or drop it.",
    ),
    Row("subscription list", f"{_CLI}.subscription:list_", "List subscriptions."),
    Row(
        "subscription show",
        f"{_CLI}.subscription:show",
        "Show one subscription; its signing secret is shown nowhere again.",
    ),
    Row(
        "subscription add",
        f"{_CLI}.subscription:add",
        "Subscribe a connection, a tool or a URL to events.",
    ),
    Row(
        "subscription pause",
        f"{_CLI}.subscription:pause",
        "Let deliveries wait, and hear nothing new.",
    ),
    Row(
        "subscription resume",
        f"{_CLI}.subscription:resume",
        "Deliver what was held back, and hear again.",
    ),
    Row(
        "subscription sync",
        f"{_CLI}.subscription:sync",
        "Bring the subscriptions of a connection to a list of them.",
    ),
    Row(
        "subscription edit",
        f"{_CLI}.subscription:edit",
        "Take a subscription over, as when its owner is gone; it hears and delivers again.",
    ),
    Row(
        "subscription rotate-secret",
        f"{_CLI}.subscription:rotate_secret",
        "Sign with a new secret, shown once; the one before signs as well for a while.",
    ),
    Row(
        "subscription remove",
        f"{_CLI}.subscription:remove",
        "Remove a subscription; what waits for it is cancelled.",
    ),
    Row(
        "subscription test",
        f"{_CLI}.subscription:test",
        "Send it one event of the type test, whatever it subscribes to.",
    ),
    Row("delivery list", f"{_CLI}.delivery:list_", "List deliveries, newest first."),
    Row("delivery show", f"{_CLI}.delivery:show", "Show one delivery with each attempt."),
    Row("schedule list", f"{_CLI}.schedule:list_", "List schedules, newest first."),
    Row("schedule show", f"{_CLI}.schedule:show", "Show one schedule with its last slots."),
    Row(
        "schedule add",
        f"{_CLI}.schedule:add",
        "Publish an event again and again, with the rights of who made the schedule.",
    ),
    Row(
        "schedule pause",
        f"{_CLI}.schedule:pause",
        "Let a schedule rest; what comes meanwhile is not made up for.",
    ),
    Row("schedule resume", f"{_CLI}.schedule:resume", "Go on with the next slot from now."),
    Row(
        "schedule edit",
        f"{_CLI}.schedule:edit",
        "Take a schedule over, as when its owner is gone; it goes on.",
    ),
    Row(
        "schedule remove",
        f"{_CLI}.schedule:remove",
        "Remove a schedule; what it fired is still delivered.",
    ),
    Row(
        "schedule next",
        f"{_CLI}.schedule:next_",
        "Show when a schedule fires next, by the clocks of its zone.",
    ),
    Row("schedule run", f"{_CLI}.schedule:run", "Fire a schedule now, beside its slots."),
    Row("webhook list", f"{_CLI}.webhook:list_", "List inbound webhooks, newest first."),
    Row(
        "webhook show",
        f"{_CLI}.webhook:show",
        "Show one inbound webhook; its secret is shown nowhere again.",
    ),
    Row(
        "webhook add",
        f"{_CLI}.webhook:add",
        "Take the events of another service, at a URL that it is given.",
    ),
    Row("webhook pause", f"{_CLI}.webhook:pause", "Answer as if it were not there."),
    Row("webhook resume", f"{_CLI}.webhook:resume", "Take events again."),
    Row(
        "webhook rotate",
        f"{_CLI}.webhook:rotate",
        "Give it another secret; the one before counts for a while.",
    ),
    Row(
        "webhook edit",
        f"{_CLI}.webhook:edit",
        "Take an inbound webhook over, as when its owner is gone; it takes events again.",
    ),
    Row(
        "webhook remove",
        f"{_CLI}.webhook:remove",
        "Remove an inbound webhook; nothing comes in at its URL any more.",
    ),
    Row(
        "client list",
        f"{_CLI}.desktop:list_",
        "List the clients on this machine, and what of meshctl's they have.",
    ),
    Row(
        "client install",
        f"{_CLI}.desktop:install",
        "Give a client your connections: entries that run `meshctl stdio`, and a key of its own.",
    ),
    Row(
        "client uninstall",
        f"{_CLI}.desktop:uninstall",
        "Take meshctl's entries out of a client's settings, and revoke the key made for it.",
    ),
    Row(
        "vault status",
        f"{_CLI}.vault:status",
        "Show the vault's keys by id, and whether it is open.",
    ),
    Row(
        "vault verify",
        f"{_CLI}.vault:verify",
        "Open everything that is sealed, and count; nothing of it is shown.",
    ),
    Row(
        "vault unlock",
        f"{_CLI}.vault:unlock",
        "Open a locked vault with a key, or with what the daemon's own source has by now.",
    ),
    Row(
        "config list",
        f"{_CLI}.config:list_",
        "List the settings with their values, and where each was said.",
        start=False,
    ),
    Row("config get", f"{_CLI}.config:get", "Print the value of one setting.", start=False),
    Row(
        "db status",
        f"{_CLI}.db:status",
        "Show how the database stands: migrations, rows, keys, and the last backup.",
        start=False,
    ),
    Row(
        "db migrate",
        f"{_CLI}.db:migrate",
        "Apply the migrations that are missing, as the next start of meshd would.",
        start=False,
    ),
    Row(
        "db backup",
        f"{_CLI}.db:backup",
        "Write everything but the master key into one file, also while meshd runs.",
        start=False,
    ),
    Row(
        "db restore",
        f"{_CLI}.db:restore",
        "Put a backup in place of the data; what is there is kept aside. meshd must not run.",
        start=False,
    ),
    Row(
        "db move",
        f"{_CLI}.db:move",
        "Copy everything to another database, and prove it; meshd must not run.",
        start=False,
    ),
    Row("daemon start", f"{_CLI}.daemon:start", "Start meshd, and wait until it serves."),
    Row(
        "daemon stop",
        f"{_CLI}.daemon:stop",
        "Stop meshd, and wait until it is gone.",
        start=False,
    ),
    Row("daemon restart", f"{_CLI}.daemon:restart", "Stop meshd and start it on the same port."),
    Row("daemon show", f"{_CLI}.daemon:show", "Show the inside of the daemon.", start=False),
    Row("daemon logs", f"{_CLI}.daemon:logs", "Print what the daemon logged.", start=False),
    Row(
        "daemon install",
        f"{_CLI}.service:install",
        "Let the system start meshd: a systemd user unit, or a launchd agent on macOS.",
        start=False,
    ),
    Row(
        "daemon uninstall",
        f"{_CLI}.service:uninstall",
        "Remove the file that `daemon install` wrote; what runs is left running.",
        start=False,
    ),
    Row(
        "completion",
        f"{_CLI}.completion:completion",
        "Print the completion script of a shell.",
        start=False,
        hidden=True,
    ),
)

EVERYDAY = (
    "status",
    "quickstart",
    "connect",
    "add-key",
    "tail-events",
    "tui",
    "metrics",
    "doctor",
    "whoami",
    "stdio",
    "help",
    "version",
)
"""The words of the help's first panel, in its order."""

ALIASES: Mapping[str, str] = {"ls": "list", "rm": "remove"}
"""Hidden words that stand for a verb of any noun."""


def find(words: Sequence[str]) -> Row | None:
    """The row that a command line begins with, by its short verb or its noun and verb."""
    if not words:
        return None
    first = words[0]
    second = ALIASES.get(words[1], words[1]) if len(words) > 1 else ""
    for row in ROWS:
        if first in (row.words, *row.also) or f"{first} {second}" == row.words:
            return row
    return None


def first_words() -> list[str]:
    """Every first word of a command line: short verbs and nouns."""
    singles = (word for row in ROWS if not row.hidden for word in (row.words, *row.also))
    return [*(word for word in singles if " " not in word), *NOUNS]
