"""The master key in the keyring of the operating system, asked in a process of its own.

A keyring may show a dialog or hang on its bus for ever, and a thread that hangs cannot be ended. A
process can; and the keyring's libraries stay out of the daemon. Which keyrings are taken is said in
`keyring_process`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from meshd.vault.errors import MasterKeyError
from meshd.vault.key import Key
from meshd.vault.master import MasterKey, encode
from meshd.vault.sources.program import ask
from meshd.vault.sources.source import Name, read

LIMIT = 10.0
"""Seconds until it must have answered: a person may have to unlock it."""

_PROGRAM = "meshd.vault.sources.keyring_process"
_TELLER = "The keyring"


class _Answer(msgspec.Struct):
    """What the process writes: a key, that there is none, or why it may not be asked."""

    key: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class KeyringSource:
    """One entry in the keyring of the user, named by the home."""

    home: Path
    name: Name = "keyring"

    @property
    def place(self) -> str:
        """The entry."""
        return f"meshctl: master key of {self.home}"

    async def key(self, *, create: bool) -> MasterKey:
        """What the entry holds."""
        found = await self._ask("get")
        if found is None and create:
            await self._ask("set", encode(MasterKey(Key.random())))
            found = await self._ask("get")  # what was kept, not what was sent, is the key
        if found is None:
            raise MasterKeyError(
                f'The keyring has no entry "{self.place}": put the key back. '
                "Without it the stored secrets cannot be read."
            )
        return read(found.encode("utf-8", "surrogatepass"), _TELLER)

    async def _ask(self, verb: str, given: bytes = b"") -> str | None:
        argv = [sys.executable, "-P", "-m", _PROGRAM, verb, self.place]
        said = await ask(argv, _TELLER, within=LIMIT, given=given)
        try:
            answer = msgspec.json.decode(said, type=_Answer)
        except msgspec.DecodeError:
            raise MasterKeyError(f"{_TELLER} answered something that is not understood.") from None
        if answer.refused is not None:
            raise MasterKeyError(answer.refused)
        return answer.key
