"""The fast path: the command lines that are typed all day, served without typer.

Each form here does exactly what typer would make of it; every other form, a mistake included, is
left to typer. A form that would have to start the daemon is left to it too.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshctl.cli.flags import Flags
    from meshctl.cli.output import Output
    from meshctl.client.client import Client


def serve(flags: Flags, words: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """Run a command line of the table and give its exit code; None for any other."""
    line = " ".join(words)
    if flags.version or line == "version":
        return _version(flags, environ)
    if line == "status":
        return _status(flags, environ)
    if line in {"tail-events", "event tail"}:
        return _tail(flags, environ)
    if words and words[0] == "stdio":
        return _stdio(flags, words[1:], environ)
    if words[:2] == ["completion", "names"] and len(words) == 3:
        return _names(words[2], flags, environ)
    return None


def _version(flags: Flags, environ: Mapping[str, str]) -> int:
    from meshctl.cli.output import Output
    from meshctl.cli.plain import version

    return version(Output(flags, environ))


def _status(flags: Flags, environ: Mapping[str, str]) -> int:
    from meshctl.cli.plain import status

    return status(*_asking(flags, environ))


def _tail(flags: Flags, environ: Mapping[str, str]) -> int | None:
    from meshctl.cli.plain import tail_events
    from meshctl.client.dial import answers
    from meshctl.client.home import Home

    if not answers(Home.find(environ).at("meshd.sock")):
        return None
    return tail_events(*_asking(flags, environ), {"follow": True})


def _stdio(flags: Flags, words: Sequence[str], environ: Mapping[str, str]) -> int | None:
    match words:
        case [name] | [name, "--key", _] if not name.startswith("-"):
            key = words[2] if len(words) == 3 else None
        case _:
            return None
    if key is not None and key.startswith("-"):
        return None
    from meshctl.client.bridge import bridge
    from meshctl.client.home import Home

    home = Home.find(environ)
    return bridge(home, name, key=key, org=home.org(flags.org), start=not flags.no_start)


def _names(kind: str, flags: Flags, environ: Mapping[str, str]) -> int:
    from meshctl.cli.names import names

    return names(kind, flags, environ)


def _asking(flags: Flags, environ: Mapping[str, str]) -> tuple[Client, Output]:
    from meshctl.cli.output import Output
    from meshctl.client.client import Client
    from meshctl.client.home import Home

    out = Output(flags, environ)
    home = Home.find(environ)
    return Client(home.at("meshd.sock"), org=home.org(flags.org), warn=out.note), out
