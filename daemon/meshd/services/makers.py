"""Whether a maker may still do what its things do: its scope of then, and its key of now."""

from meshd.services.access import decide_call
from meshd.services.directory import Directory
from meshd.services.principal import Principal
from meshd.services.refusals import denied_call
from meshd.wire.calls.event import PUBLISH
from meshd.wire.errors import Denied


def check_publishes(directory: Directory, maker: Principal, now: int) -> None:
    """Pass a maker that may publish, in the scope that it had and by the key that it has.

    Raises:
        Denied: its scope does not hold `event.publish`, or its key is revoked or expired.
    """
    present: Principal | None = maker
    if maker.kind == "key":
        present = directory.key_now(maker.id)
    if present is None or maker.expired(now):
        raise Denied(f"the key {maker.name} was revoked or has expired")
    for who in (maker, present):
        decision = decide_call(who, PUBLISH)
        if not decision:
            raise denied_call(who, PUBLISH, decision)
