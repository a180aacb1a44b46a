"""Names for the completion of command lines: at once, or nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from meshctl.cli.flags import Flags

LIMIT_SECONDS = 0.3

PATHS = {"connection": "/v1/connections", "key": "/v1/keys", "org": "/v1/orgs"}
"""What can be completed, with the control call that lists it."""


def names(kind: str, flags: Flags, environ: Mapping[str, str]) -> int:
    """Print the names of a kind, one a line. Whatever fails, silence: somebody is typing."""
    import signal

    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
    try:
        found = _ask(PATHS[kind], flags.org, environ)
    except Exception:  # noqa: BLE001 - see above
        return 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    from meshctl.cli.output import Output

    out = Output(flags, environ)
    for name in found:
        out.line(name)
    return 0


def _ask(path: str, org: str | None, environ: Mapping[str, str]) -> list[str]:
    from meshctl.client.client import Client
    from meshctl.client.home import Home

    home = Home.find(environ)
    client = Client(home.at("meshd.sock"), org=home.org(org), timeout=LIMIT_SECONDS)
    # A name that is none would be completed into somebody's command line.
    return [name for item in client.get(path) if (name := str(item["name"])).isprintable()]


def _too_late(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError
