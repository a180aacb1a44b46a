"""The master key from an external command, such as a client of a key management service."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from meshd.vault.master import MasterKey
from meshd.vault.sources.program import ask
from meshd.vault.sources.source import Name, read

LIMIT = 5.0
"""Seconds until it must have answered."""


@dataclass(frozen=True, slots=True)
class CommandSource:
    """Runs `argv`, whose arguments may hold secrets: only the program's name is ever told."""

    argv: Sequence[str] = field(repr=False)
    name: Name = "command"

    @property
    def place(self) -> str:
        """The program."""
        return PurePath(self.argv[0]).name

    async def key(self, *, create: bool) -> MasterKey:
        """What the command prints; it never makes a key, whatever `create` says."""
        del create
        teller = f"The master key command {self.place}"
        return read(await ask(self.argv, teller, within=LIMIT), teller)
