"""The flags that every command takes, wherever they stand before a `--`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GLOBAL: tuple[tuple[str, str, str, str], ...] = (
    ("--org", "NAME", "MESHCTL_ORG", "Ask in this org."),
    ("--json", "", "", "Answer in JSON, as the API has it."),
    ("--quiet", "", "", "Print ids only, and no notes."),
    ("--yes", "", "", "Do not ask before something is removed."),
    ("--no-start", "", "", "Do not start meshd when it is not running."),
    ("--debug", "", "", "Show the traceback of an error."),
    ("--no-color", "", "NO_COLOR", "No colours."),
    ("--version", "", "", "Print the version."),
)
"""Word, what its value is called, the environment variable that does the same, help."""

_SWITCHES = {word: word[2:].replace("-", "_") for word, value, _, _ in GLOBAL if not value}


class Flags:
    """What the flags of one command line say. A flag beats its environment variable."""

    __slots__ = ("debug", "json", "no_color", "no_start", "org", "quiet", "version", "yes")

    def __init__(self) -> None:
        self.org: str | None = None
        self.json = False
        self.quiet = False
        self.yes = False
        self.no_start = False
        self.debug = False
        self.no_color = False
        self.version = False


def take(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[Flags, list[str]]:
    """The global flags of a command line, and the line without them.

    Raises:
        Usage: `--org` without a name.
    """
    flags = Flags()
    flags.org = environ.get("MESHCTL_ORG") or None
    flags.no_color = bool(environ.get("NO_COLOR"))
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            return flags, [*rest, word, *words]
        if word in _SWITCHES:
            setattr(flags, _SWITCHES[word], True)
        elif word == "--org":
            flags.org = _name(next(words, ""))
        elif word.startswith("--org="):
            flags.org = _name(word.removeprefix("--org="))
        else:
            rest.append(word)
    return flags, rest


def _name(text: str) -> str:
    if text and not text.startswith("-"):
        return text
    from meshd.wire.errors import Usage

    raise Usage("--org needs a name", next="meshctl help flags")
