"""How an entry in a client's file is recognised as meshctl's own.

Nothing is added to the entry: strict clients refuse keys they do not know. Its command line tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from meshctl.desktop.spec import bare_program


def is_own_command(command: Sequence[str]) -> bool:
    """Tell whether an argv runs `meshctl stdio …`, by whatever path or launcher."""
    return any(
        bare_program(program) == "meshctl" and verb == "stdio"
        for program, verb in pairwise(command)
    )


def is_own_entry(entry: Any) -> bool:
    """Tell whether a JSON entry runs `meshctl stdio …`."""
    if not isinstance(entry, dict):
        return False
    command, args = entry.get("command"), entry.get("args")
    if not isinstance(command, str) or not isinstance(args, list):
        return False
    return is_own_command([command, *(word for word in args if isinstance(word, str))])
