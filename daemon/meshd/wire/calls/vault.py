"""Calls about the vault."""

from meshd.wire import vault as v
from meshd.wire.calls.row import Call
from meshd.wire.empty import Nothing

STATUS = Call(
    "vault.status",
    "GET",
    "/v1/vault",
    Nothing,
    v.VaultStatus,
    "instance",
    "Show the vault's keys by id, and whether it is open.",
    in_org=False,
)
VERIFY = Call(
    "vault.verify",
    "GET",
    "/v1/vault/verify",
    Nothing,
    v.VaultVerified,
    "instance",
    "Open everything that is sealed, and count.",
    in_org=False,
)
UNLOCK = Call(
    "vault.unlock",
    "POST",
    "/v1/vault/unlock",
    v.VaultUnlock,
    v.VaultStatus,
    "instance",
    "Open a locked vault.",
    socket_only=True,
    in_org=False,
)

CALLS = (STATUS, VERIFY, UNLOCK)
