"""Whether a maker may still do what its things do: its scope of then, and its key of now."""

from meshd.services.access import decide_call
from meshd.services.directory import Directory
from meshd.services.principal import Principal
from meshd.services.refusals import denied_call
from meshd.wire.calls.row import Call
from meshd.wire.errors import Conflict, Denied


def key_gone(directory: Directory, maker: Principal) -> str | None:
    """Why nothing can run as this maker any more; None where it can.

    The key of now tells, also until when: its expiry may have been changed since.
    """
    if maker.kind == "key" and directory.key_now(maker.id) is None:
        return f"the key {maker.name} was revoked or has expired"
    return None


def check_maker(directory: Directory, maker: Principal, call: Call) -> None:
    """Pass a maker that may make a call, in the scope that it had and by the key that it has.

    Raises:
        Denied: its scope does not hold the call, or its key is revoked or expired.
    """
    if (why := key_gone(directory, maker)) is not None:
        raise Denied(why)
    present = directory.key_now(maker.id) if maker.kind == "key" else None
    for who in (maker, present or maker):
        decision = decide_call(who, call)
        if not decision:
            raise denied_call(who, call, decision)


async def check_maker_afresh(directory: Directory, maker: Principal, call: Call) -> None:
    """As `check_maker`, refusing on a fresh snapshot alone: this daemon may be a moment behind.

    Raises:
        StoreError: the database does not answer.
    """
    try:
        check_maker(directory, maker, call)
    except Denied:
        await directory.refresh()
        check_maker(directory, maker, call)


async def check_goes_on(directory: Directory, maker: Principal, call: Call, edit: str) -> None:
    """As `check_maker_afresh`, for what somebody resumes; `edit` is the command that changes it.

    Raises:
        Conflict: it would pause again.
    """
    try:
        await check_maker_afresh(directory, maker, call)
    except Denied as error:
        raise Conflict(
            f"it has nobody to run as: {error.message}", next=f"{edit} --owner me"
        ) from None


def check_taker(directory: Directory, who: Principal, owner: str, call: Call) -> None:
    """Pass whoever takes something over for themselves, and may make the call that it makes.

    Raises:
        Denied: they may not, or it is for somebody else, who alone can take it.
    """
    if owner not in {"me", who.owner}:
        raise Denied("it is taken over by its new owner alone", facts={"say": "me"})
    check_maker(directory, who, call)
