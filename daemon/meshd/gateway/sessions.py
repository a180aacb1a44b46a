"""Handshake sessions as clients see them: sealed tokens, nothing stored but the ended ones."""

from collections import OrderedDict

from meshd.core.clock import MICROSECONDS, Clock
from meshd.services.directory import ConnectionRow
from meshd.services.principal import Principal
from meshd.vault.seal import Sealer, Session
from meshd.wire.errors import NotFound

LIFETIME = 24 * 3600
MAX_ENDED = 50_000
MAX_OPENED = 4096
"""Tokens kept opened: deciphering one costs as much as the rest of the gate."""


class Sessions:
    """Issues, opens and ends sessions. A foreign, ended or expired one is 404."""

    def __init__(self, sealer: Sealer, daemon: str, clock: Clock) -> None:
        self._sealer = sealer
        self._daemon = daemon
        self._clock = clock
        self._ended: OrderedDict[bytes, int] = OrderedDict()
        self._opened: dict[str, Session] = {}
        self.count_opened = self.count_ended = 0

    def issue(
        self,
        who: Principal,
        row: ConnectionRow,
        upstream: str | None,
        version: str,
        client: str = "",
        declared: str = "",
    ) -> str:
        """A token for a new session; `client` is there for one that ends here, else `declared`."""
        self.count_opened += 1
        session = Session(
            principal=who.id,
            connection=row.id,
            upstream=upstream,
            version=version,
            daemon=self._daemon,
            expires=self._clock.now() // MICROSECONDS + LIFETIME,
            client=client,
            declared=declared,
        )
        token = self._sealer.seal(session)
        self._keep(token, session)  # its client is about to come back with it
        return token

    def open(self, token: str | None, who: Principal, row: ConnectionRow) -> Session | None:
        """The session, or None where the client gave none.

        Raises:
            NotFound: it is not this principal's at this connection, ended, or expired; the client
                then initializes anew (Streamable HTTP, Session Management).
        """
        if token is None:
            return None
        session = self._opened.get(token)
        if session is None and (session := self._sealer.open(token)) is not None:
            self._keep(token, session)
        if (
            session is None
            or session.expires <= self._clock.now() // MICROSECONDS
            or session.principal != who.id
            or session.connection != row.id
            or session.id in self._ended
        ):
            raise NotFound("there is no such session")
        return session

    def _keep(self, token: str, session: Session) -> None:
        if len(self._opened) >= MAX_OPENED:
            self._opened.clear()
        self._opened[token] = session

    def end(self, session: Session) -> None:
        """Refuse the token from now on."""
        self._ended[session.id] = session.expires
        self.count_ended += 1
        now = self._clock.now() // MICROSECONDS
        while self._ended:
            oldest, expires = next(iter(self._ended.items()))
            if expires > now and len(self._ended) <= MAX_ENDED:
                break
            del self._ended[oldest]
