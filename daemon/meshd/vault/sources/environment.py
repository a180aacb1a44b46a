"""The master key in a variable. It works, and every other source keeps the key better."""

from dataclasses import dataclass

from meshd.core.secret import Secret
from meshd.vault.master import MasterKey
from meshd.vault.sources.source import Name, read

VARIABLE = "MESHCTL_MASTER_KEY"
WEAK = (
    f"the master key is in {VARIABLE}: meshd takes it out of its own environment and gives it to no"
    " child, but the system keeps the first one (/proc/PID/environ), and so does whoever set it"
)
"""What the log and `doctor` say of this source."""


@dataclass(frozen=True, slots=True)
class EnvironmentSource:
    """The variable's value, taken out of the environment before anything else ran."""

    value: Secret
    name: Name = "environment"

    @property
    def place(self) -> str:
        """The variable."""
        return VARIABLE

    async def key(self, *, create: bool) -> MasterKey:
        """What the variable held."""
        del create
        return read(self.value.reveal().encode("utf-8", "surrogatepass"), VARIABLE)
