"""From whatever went wrong in a control call to the error that is answered."""

import logging

from aiohttp import web

from meshd.store.db import ExpectFailed, StoreDamaged, StoreUnavailable
from meshd.vault.errors import VaultError
from meshd.wire.errors import BadRequest, Conflict, Internal, MeshError, TooLarge, Unavailable

log = logging.getLogger(__name__)

LOGS = "meshctl daemon logs"
RESTORE = "meshctl db restore FILE"


def failure(error: Exception, what: str) -> MeshError:
    """The error to answer with; what is nobody's fault but ours is logged as `what` failing."""
    if isinstance(error, MeshError):
        return error
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge()
    if isinstance(error, web.RequestPayloadError):
        return BadRequest("the body is not framed or coded as its headers say")
    if isinstance(error, ExpectFailed):
        return Conflict("it changed meanwhile")
    log.error("%s failed", what, exc_info=error)
    if isinstance(error, StoreDamaged):
        return Unavailable("the database is damaged", facts={"why": str(error)}, next=RESTORE)
    if isinstance(error, StoreUnavailable):
        return Unavailable("the database cannot be used right now", next=LOGS)
    if isinstance(error, VaultError):
        return Unavailable("the vault cannot be used right now", facts={"why": str(error)})
    return Internal(next=LOGS)
