"""What a command works with: its flags, the home, its output, and the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshctl.client.client import Client
from meshctl.client.dial import answers
from meshctl.client.follow import follow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import typer
    from msgspec import Struct

    from meshctl.cli.flags import Flags
    from meshctl.cli.output import Output
    from meshctl.client.home import Home
    from meshctl.render.look import Look
    from meshd.wire.calls.row import Call


class Ctx:
    """Made once a command line; `start` says whether this command may start the daemon."""

    def __init__(
        self, flags: Flags, home: Home, out: Output, environ: Mapping[str, str], *, start: bool
    ) -> None:
        self.flags = flags
        self.home = home
        self.out = out
        self.environ = environ
        self._start = start and not flags.no_start
        self._client: Client | None = None

    @classmethod
    def of(cls, ctx: typer.Context) -> Ctx:
        """The one that typer carries."""
        found = ctx.find_object(cls)
        if found is None:
            raise RuntimeError("a command ran outside of the tree")
        return found

    @property
    def look(self) -> Look:
        """What drawing depends on besides the data."""
        return self.out.look

    @property
    def org(self) -> str | None:
        """The org to ask in; None where none was said or chosen."""
        return self.home.org(self.flags.org)

    def client(self) -> Client:
        """The client of a daemon, which is started first where the command may and none runs.

        Raises:
            DaemonDown: none runs, and none may be started.
            MeshError: it cannot start, for the reason it gives.
        """
        if self._client is None:
            if self._start and not answers(self.home.at("meshd.sock")):
                from meshctl.client.start import ensure

                ensure(self.home)
            self._client = Client(self.home.socket, org=self.org, warn=self.out.note)
        return self._client

    def call(self, row: Call, asks: Struct | None = None, *, timeout: float | None = None) -> Any:
        """The answer of a control call, as `Client.call`."""
        return self.client().call(row, asks, timeout=timeout)

    def stream(
        self, row: Call, asks: Struct | None = None, *, resume: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """The items of a call that streams.

        `resume` names the field of an item that holds its cursor (`seq`, `meshseq`): a cut stream
        is then opened again behind the last item, with a line about it on stderr.
        """
        client = self.client()
        if resume is None:
            return (item for item in client.stream(row, asks) if item is not None)
        from meshctl.client.asks import split

        path, query, _ = split(row, asks)
        return follow(lambda query: client.lines(path, query), query, resume, self.out.note)
