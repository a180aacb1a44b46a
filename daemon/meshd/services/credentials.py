"""The one place that opens sealed values, and only into the upstream that needs them."""

from urllib.parse import urlsplit

from meshd.core.secret import Secret
from meshd.proxy.child import Command
from meshd.proxy.http import Target
from meshd.services.directory import ConnectionRow
from meshd.services.seals import Seals
from meshd.store.db import Step
from meshd.vault.vault import Vault

WHOLE = "whole"
"""The name under which a URL is sealed that holds userinfo or a query."""


class Credentials:
    """Seals what operators give and builds what upstreams need."""

    def __init__(self, vault: Vault, seals: Seals) -> None:
        self._vault = vault
        self._seals = seals

    async def put(self, org: str, connection: str, kind: str, name: str, value: str) -> Step:
        """The step that stores one sealed value. The blob is bound to its place.

        Raises:
            VaultError: the org's data key is not loaded, or spent.
        """
        await self._seals.count(org)
        field = f"{kind}:{name}"
        blob = self._vault.seal(org, "credentials", connection, field, Secret(value))
        return Step(
            "credential.put",
            {"connection_id": connection, "kind": kind, "name": name, "org_id": org, "blob": blob},
        )

    def drop(self, org: str, connection: str, kind: str, name: str) -> Step:
        """The step that takes one value away."""
        return Step(
            "credential.drop",
            {"connection_id": connection, "kind": kind, "name": name, "org_id": org},
        )

    def target(self, row: ConnectionRow) -> Target:
        """Where an HTTP connection leads, with its headers.

        Raises:
            VaultError: a value was tampered with, or its key is not loaded.
        """
        url = self._open(row, "url").get(WHOLE) or Secret(row.url or "")
        return Target(url, f'"{row.name}"', self._open(row, "header"))

    def command(self, row: ConnectionRow) -> Command:
        """What a stdio connection runs, with its environment. Raises as `target` does."""
        return Command(row.command, self._open(row, "env"), row.cwd)

    def check(self, org: str, connection: str, kind: str, name: str, blob: bytes) -> None:
        """Open a sealed value and drop it. Raises as `target` does."""
        self._vault.open(org, "credentials", connection, f"{kind}:{name}", blob)

    def _open(self, row: ConnectionRow, wanted: str) -> dict[str, Secret]:
        return {
            name: self._vault.open(row.org, "credentials", row.id, f"{kind}:{name}", blob)
            for kind, name, blob in row.sealed
            if kind == wanted
        }


def shown_url(url: str) -> tuple[str, bool]:
    """The URL as it may be shown, and whether it holds more than that (userinfo or a query)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    shown = f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")
    return shown, bool(parts.query) or "@" in parts.netloc
