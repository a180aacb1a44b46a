"""Handlers of calls about the vault."""

from collections.abc import Awaitable, Callable, Mapping

from meshd.api.dispatch import Handler
from meshd.core.secret import Secret
from meshd.services.principal import Principal
from meshd.services.unlocking import Unlocking
from meshd.services.vault_report import VaultReport
from meshd.wire.vault import VaultStatus, VaultUnlock


def handlers(
    unlocking: Unlocking, report: VaultReport, note: Callable[[Principal], Awaitable[object]]
) -> Mapping[str, Handler]:
    """By call name. `note` writes down who opened the vault."""

    async def unlock(who: Principal, asked: VaultUnlock) -> VaultStatus:
        was_locked = unlocking.why is not None
        await unlocking.unlock(None if asked.key is None else Secret(asked.key))
        if was_locked:
            await note(who)
        return await report.status()

    return {
        "vault.status": lambda _who, _: report.status(),
        "vault.verify": lambda _who, _: report.verify(),
        "vault.unlock": unlock,
    }
