"""Who asks over TCP: the key in the Authorization header (RFC 6750, section 2.1)."""

from collections.abc import Mapping

from meshd.services.access import decide_call
from meshd.services.keys import Keys
from meshd.services.principal import Principal
from meshd.services.refusals import denied_call
from meshd.wire.calls.row import Call
from meshd.wire.errors import Unauthenticated

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="meshctl"'}
"""Goes with every 401."""


def authenticate(keys: Keys, headers: Mapping[str, str]) -> Principal:
    """The principal of the key.

    Raises:
        Unauthenticated: there is none, or it is unknown, revoked or expired.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    principal = keys.authenticate(token) if scheme.lower() == "bearer" else None
    if principal is None:
        raise Unauthenticated(next="meshctl add-key NAME")
    return principal


def authorize(keys: Keys, headers: Mapping[str, str], call: Call) -> Principal:
    """The principal of the key, if it may make the control call that a page stands for.

    Raises:
        Unauthenticated: as above.
        Denied: it may not.
    """
    who = authenticate(keys, headers)
    decision = decide_call(who, call)
    if not decision:
        raise denied_call(who, call, decision)
    return who
