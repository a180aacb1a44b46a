"""Handlers of calls about the database."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.backing_up import Backups


def handlers(backups: Backups) -> Mapping[str, Handler]:
    """By call name."""
    return {"db.backup": backups.make}
