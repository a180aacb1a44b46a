"""Patterns in which `*` is any run of characters: of grants, of event types."""


def glob_match(pattern: str, text: str) -> bool:
    """Whether `text` matches `pattern`, in which `*` is any run of characters. Linear time."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    if not text.startswith(first):
        return False
    *middle, last = rest
    at = len(first)
    for part in middle:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - at >= len(last) and text.endswith(last)
