"""What can be told of a database as a whole: rows, migrations, the master keys that it needs."""

from dataclasses import dataclass

from meshd.core.config import Config
from meshd.store.reading import Applied, Reading, counts
from meshd.store.whole import asked
from meshd.vault.errors import VaultError
from meshd.vault.sources.chain import sources
from meshd.vault.vault import wrapped_under
from meshd.wire.db import TableRows


@dataclass(frozen=True, slots=True)
class Facts:
    """Read from the database itself."""

    tables: list[TableRows]
    applied: list[Applied]
    installation: str | None
    last_backup: str | None
    sealed_with: list[str]


async def facts(reading: Reading) -> Facts:
    """All of them.

    Raises:
        StoreError: the database cannot be read.
    """
    rows = await counts(reading)
    about: dict[str, str] = {}
    if "meta" in rows:
        about = dict(await asked(reading, "meta.all"))
    return Facts(
        [TableRows(table=name, rows=count) for name, count in rows.items()],
        await reading.applied(),
        about.get("installation"),
        about.get("last_backup"),
        await sealed_with(reading) if "data_keys" in rows else [],
    )


async def key_here(config: Config) -> str | None:
    """The id of the master key that the vault has here; None if there is none, or none to use."""
    try:
        return (await sources(config)[0].key(create=False)).id.hex()
    except VaultError:
        return None


async def sealed_with(reading: Reading) -> list[str]:
    """The ids of the master keys that what is stored was sealed under."""
    ids = set()
    for (wrapped,) in await asked(reading, "data_key.wrapped"):
        try:
            ids.add(wrapped_under(bytes(wrapped)))
        except VaultError:
            ids.add("unknown")
    return sorted(ids)
