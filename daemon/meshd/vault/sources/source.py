"""What every source of the master key offers, and the reading of what one handed over."""

from typing import Literal, Protocol

from meshd.vault.errors import MasterKeyError
from meshd.vault.master import MasterKey, decode

Name = Literal["command", "credential", "keyring", "file", "environment"]


class Source(Protocol):
    """One place that keeps the master key."""

    @property
    def name(self) -> Name:
        """Which source this is."""
        ...

    @property
    def place(self) -> str:
        """Where it keeps the key, in words that hold no secret."""
        ...

    async def key(self, *, create: bool) -> MasterKey:
        """The key. With `create`, a place of ours that has none yet makes one and keeps it.

        Raises:
            MasterKeyError: there is none, or it cannot be read; the sentence says what to do.
        """
        ...


def read(text: bytes, giver: str) -> MasterKey:
    """The key in what `giver` handed over; blanks around it do not count.

    Raises:
        MasterKeyError: it is none. The text is not in the sentence.
    """
    key = decode(text.strip())
    if key is None:
        raise MasterKeyError(
            f"What {giver} gave is no master key: it is one line, meshctl-master-key-1: and the "
            "base64 of 32 bytes (meshctl help vault)."
        )
    return key
