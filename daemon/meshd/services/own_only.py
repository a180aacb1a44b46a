"""What a key that speaks for a connection may change: what is its connection's own, and no more.

Whatever else it holds grants for, so that a server which is given such a key changes nothing of
the people around it. Other keys, and people, are bound by their grants alone.
"""

from meshd.services.principal import Principal
from meshd.services.publishing import own_connection, own_source
from meshd.wire.errors import Denied


def is_own(who: Principal, maker: Principal) -> bool:
    """Whether it may change what this maker made."""
    return who.connection is None or maker.connection == who.connection


def check_own(who: Principal, maker: Principal, kind: str, *, mine: bool = False) -> None:
    """Pass what its connection's keys made; `mine` asks it of everybody. `kind` is a noun.

    Raises:
        Denied: somebody else did, or, with `mine`, the key is no connection's own.
    """
    if (mine and maker.connection != own_connection(who)) or not is_own(who, maker):
        raise Denied(
            f"{who.name} did not make this {kind}, nor did another key of its connection",
            next=f"meshctl {kind} list",
        )


def check_own_event(who: Principal, source: str, *, mine: bool = False) -> None:
    """Pass what its connection published; `mine` asks it of everybody.

    Raises:
        Denied: somebody else did.
    """
    own = own_source(who)
    if (mine or who.connection is not None) and source != own:
        raise Denied(
            f"{who.name} did not publish this event",
            facts={"it publishes as": own}, next=f"meshctl event list --source {own}",
        )  # fmt: skip
