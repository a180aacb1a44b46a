"""`requestState` on its way to a client and back: sealed there, opened here."""

from dataclasses import replace

from msgspec import Raw

from meshd.gateway.exchange import Exchange
from meshd.protocol import jsonrpc
from meshd.protocol.envelope import Envelope, Refused
from meshd.protocol.input_required import METHODS, STATE, digest, with_state
from meshd.protocol.members import joined, members, text
from meshd.protocol.translation import result_type
from meshd.vault.seal_state import Place, StateSealer


class RequestStates:
    """Seals what upstreams give and opens what clients bring."""

    def __init__(self, sealer: StateSealer) -> None:
        self._sealer = sealer

    def opened(self, exchange: Exchange, envelope: Envelope) -> Envelope:
        """The envelope with the upstream's own state in it.

        Raises:
            Refused: the state is altered, late, or was given for another request.
        """
        if STATE not in envelope.params:
            return envelope
        token = text(envelope.params[STATE])
        state = self._sealer.open(_place(exchange, envelope), token) if token else None
        if state is None:
            raise Refused(jsonrpc.INVALID_PARAMS, "requestState is not one that was given for this")
        return replace(envelope, params={**envelope.params, STATE: Raw(state)})

    def sealed(self, exchange: Exchange, body: bytes) -> bytes:
        """A JSON-RPC answer with the state in it sealed; untouched where there is none."""
        envelope = exchange.envelope
        if envelope is None or exchange.message.method not in METHODS:
            return body
        found = members(body)
        result = bytes(found.get("result", b""))
        if not result or result_type(result) != "input_required":
            return body
        state = members(result).get(STATE)
        if state is None:
            return body
        token = self._sealer.seal(_place(exchange, envelope), bytes(state))
        return joined({**found, "result": Raw(with_state(result, token))})


def _place(exchange: Exchange, envelope: Envelope) -> Place:
    request = digest(exchange.message.method, envelope.params)
    return Place(exchange.who.id, exchange.row.id, request)
