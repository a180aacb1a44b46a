"""Man pages in roff, with the macros of man(7)."""

from collections.abc import Iterable


def page(name: str, version: str, *sections: str) -> str:
    """A page of section 1, without a date: it depends on what it describes alone."""
    head = f'.TH "{name.upper()}" "1" "" "meshctl {version}" "meshctl"'
    return "\n".join([head, ".nh", ".ad l", *sections]) + "\n"


def section(title: str, *parts: str) -> str:
    """A titled section; empty parts are left out."""
    return "\n".join([f'.SH "{escape(title)}"', *(part for part in parts if part)])


def paragraphs(text: str) -> str:
    """Prose, one paragraph per blank line."""
    return "\n.PP\n".join(escape(" ".join(part.split())) for part in text.split("\n\n"))


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Terms with their explanations."""
    return "\n".join(f".TP\n{bold(term)}\n{escape(text)}" for term, text in pairs)


def bold(text: str) -> str:
    r"""Text in bold; a hyphen is `\-`, so that a copied option works."""
    return f"\\fB{escape(text)}\\fR"


def escape(text: str) -> str:
    """Text that roff takes literally, also at the beginning of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{text}" if text.startswith((".", "'")) else text
