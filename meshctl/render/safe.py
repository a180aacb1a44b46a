"""Foreign text made harmless: what a terminal would obey is shown as an escape instead.

Names, descriptions, errors and answers come from MCP servers. A cursor movement, a bell or a
right-to-left override in them could forge lines of ours.
"""

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder the line or cannot be seen."""

_JOINERS = frozenset("\u200c\u200d")  # Persian words and emoji families fall apart without them


def safe(text: str) -> str:
    r"""`text` on one line: every hidden character as `\n`, `\x1b` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def safe_block(text: str) -> str:
    """`text` with its line breaks and tabs kept, everything else as `safe` shows it."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(safe, line.split("\t"))) for line in lines)


def _visible(char: str) -> str:
    import unicodedata

    if char in _JOINERS or unicodedata.category(char) not in HIDDEN:
        return char
    return char.encode("unicode_escape").decode("ascii")
