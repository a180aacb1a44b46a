"""What the fast commands do, free of typer and of wire types, so that both ways in share it."""

from __future__ import annotations

from meshctl.client.client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from meshctl.cli.output import Output

STATUS = "/v1/status"
EVENTS = "/v1/tail/events"
CURSOR = "meshseq"
"""The field of an event that `after` continues from."""


def status(client: Client, out: Output) -> int:
    """Show how things stand. A daemon that is not running is a state, told by exit code 3."""
    try:
        answer = client.get(STATUS)
    except Exception as error:
        if getattr(error, "code", None) != "daemon_down":
            raise
        return _stopped(out)
    if out.as_json:
        out.json(answer)
    elif out.quiet:
        out.line(answer["daemon"]["state"])
    else:
        from meshctl.render.status import lines

        out.lines(lines(answer, out.look))
    return 0


def _stopped(out: Output) -> int:
    if out.as_json:
        out.json({"daemon": {"state": "stopped"}})
    elif out.quiet:
        out.line("stopped")
    else:
        out.line("meshd is stopped")
        out.next("meshctl daemon start")
    return 3


def version(out: Output) -> int:
    """Print the version of this program; the daemon's stands in `status`."""
    from meshctl import __version__

    if out.as_json:
        out.json({"version": __version__})
    else:
        out.line(__version__ if out.quiet else f"meshctl {__version__}")
    return 0


def tail_events(client: Client, out: Output, query: Mapping[str, Any]) -> int:
    """Show events as they happen, across restarts of the daemon."""
    from meshctl.client.follow import follow
    from meshctl.render.event import line

    for event in follow(lambda query: client.lines(EVENTS, query), dict(query), CURSOR, out.note):
        out.stream_line(event, "" if out.as_json or out.quiet else line(event, out.look))
    return 0
