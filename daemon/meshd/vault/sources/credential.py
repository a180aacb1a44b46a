"""The master key as a credential that systemd hands to the service.

Source: systemd.exec(5), LoadCredential=, LoadCredentialEncrypted=. The manager owns the folder and
chooses the modes in it (an access list shows as a group bit), so these are not judged here.
"""

import asyncio
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from meshd.vault.errors import MasterKeyError
from meshd.vault.master import MasterKey
from meshd.vault.sources.program import MOST
from meshd.vault.sources.source import Name, read

CREDENTIAL = "meshctl-master-key"


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """A file in `$CREDENTIALS_DIRECTORY`."""

    path: Path
    name: Name = "credential"

    @property
    def place(self) -> str:
        """The file."""
        return str(self.path)

    async def key(self, *, create: bool) -> MasterKey:
        """What the file holds; the manager supplies it, nothing is made here."""
        del create
        return read(await asyncio.to_thread(self._text), f"The credential {self.path}")

    def _text(self) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path, flags)
        except OSError as error:
            raise MasterKeyError(
                f"The credential {self.path} cannot be read ({error.strerror})."
            ) from None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise MasterKeyError(f"The credential {self.path} is not a regular file.")
            return file.read(MOST)
