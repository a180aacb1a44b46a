"""The master key in a file of ours, which the first start makes. How is told in `master`."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from meshd.vault.errors import MasterKeyError
from meshd.vault.master import MasterKey, load, load_or_create
from meshd.vault.sources.source import Name


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file that only our own user can read, outside of the data."""

    path: Path
    name: Name = "file"

    @property
    def place(self) -> str:
        """The file."""
        return str(self.path)

    async def key(self, *, create: bool) -> MasterKey:
        """What the file holds."""
        if create:
            return await asyncio.to_thread(load_or_create, self.path)
        key = await asyncio.to_thread(load, self.path)
        if key is None:
            raise MasterKeyError(
                f"There is no file {self.path}: restore it from your copy of the key. "
                "Without it the stored secrets cannot be read."
            )
        return key
