"""Foreign text made harmless: what a terminal would obey is shown as an escape instead.

Names, descriptions, errors and answers come from MCP servers. A cursor movement, a bell or a
right-to-left override in them could forge lines of ours; a character that nobody sees can carry
words to a model that a person never read.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder the line or cannot be seen."""

_INVISIBLE = (
    (0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065),
    (0x2800, 0x2800), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Further code points that leave no mark: fillers, variation selectors, tags and their neighbours.

Source: Unicode, Default_Ignorable_Code_Point, and the blank pattern of Braille.
"""

_JOINERS = "\u200c\u200d"  # Persian words and emoji families fall apart without them
_LOOKS = "\ufe0e\ufe0f"  # an emoji as text, or in colour
_KEYCAP = "\u20e3"


def safe(text: str) -> str:
    r"""`text` on one line: every hidden character as `\n`, `\x1b` or `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(text, _as_python))


def safe_block(text: str) -> str:
    """`text` with its line breaks and tabs kept, everything else as `safe` shows it."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(safe, line.split("\t"))) for line in lines)


def safe_json(text: str) -> str:
    """JSON whose strings hold escapes where they held hidden characters: the same value."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "\n".join("".join(_escaped(line, _as_json)) for line in text.split("\n"))


def _escaped(text: str, escape: Callable[[str], str]) -> Iterator[str]:
    for place, char in enumerate(text):
        if " " <= char < "\x7f":
            yield char
            continue
        before, after = text[max(0, place - 1) : place], text[place + 1 : place + 2]
        yield char if _is_seen(before, char, after) else escape(char)


def _as_python(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _as_json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _is_seen(before: str, char: str, after: str) -> bool:
    import unicodedata

    if char in _JOINERS:
        return _binds(before) and _binds(after)
    if char in _LOOKS:
        return _is_symbol(before) or (before.isascii() and before != "" and after == _KEYCAP)
    if unicodedata.category(char) in HIDDEN:
        return False
    return not any(first <= ord(char) <= last for first, last in _INVISIBLE)


def _binds(char: str) -> bool:
    """Whether a joiner beside it has something to join: a letter without case, or an emoji."""
    import unicodedata

    return char != "" and (
        char in _LOOKS or unicodedata.category(char) in {"Lo", "Lm", "Mn", "Mc", "So", "Sk"}
    )


def _is_symbol(char: str) -> bool:
    import unicodedata

    return char != "" and unicodedata.category(char) in {"So", "Sm", "Sk"}
