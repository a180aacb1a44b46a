"""The documents that are generated from the tree: man pages, completion scripts, README's list.

`python -m meshctl.cli.manual DIR` writes them below DIR, the root of a checkout. The output depends
on nothing but the tree and its tables: no date, no terminal, no home.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshctl import __version__
from meshctl.cli.front import ABOUT, everyday, flag_lines
from meshctl.cli.roff import bold, definitions, escape, page, paragraphs, section
from meshctl.cli.scripts import FILES as SCRIPTS
from meshctl.cli.scripts import SHELLS
from meshctl.cli.system_event_texts import INTRO, entries
from meshctl.cli.system_event_texts import example as example_event
from meshctl.cli.topics import FILES, VARIABLES, setting_lines
from meshctl.cli.tree import NOUNS
from meshctl.cli.walk import commands, verbs
from meshd.wire.errors import EXIT_CODES
from meshd.wire.system_events import BY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshctl.cli.walk import Command

    Tree = tuple[Command, ...]

EVENTS = "system-events"
"""The topic that has a page of its own, since it is a reference."""

BEGIN, END = "<!-- commands -->", "<!-- /commands -->"
"""What README's list stands between."""


def documents(tree: Tree) -> Mapping[str, str]:
    """Every generated file by its path in the checkout, but README."""
    pages = {"man/meshctl.1": _main(tree)}
    for noun, about in NOUNS.items():
        under = tuple(one for one in tree if one.words.startswith(f"{noun} "))
        pages[f"man/meshctl-{noun}.1"] = _page(noun, about, under)
    for command in tree:
        for word in (command.words, *command.also):
            if " " not in word:
                pages[f"man/meshctl-{word}.1"] = _page(word, command.summary, (command,))
    pages[f"man/meshctl-{EVENTS}.1"] = _events()
    scripts = {f"completions/{SCRIPTS[shell]}": write(tree) for shell, write in SHELLS.items()}
    return {**pages, **scripts}


def readme(text: str, tree: Tree) -> str:
    """README with its list of commands as the tree has it.

    Raises:
        ValueError: it lacks the markers.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{_list(tree)}\n{END}{after}"


def write(root: Path) -> None:
    """Write everything below `root`, and remove pages of commands that are no more."""
    tree = commands()
    made = documents(tree)
    for old in (*root.glob("man/meshctl*.1"), *root.glob("completions/*")):
        if str(old.relative_to(root)) not in made:
            old.unlink()
    for name, text in made.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    page_one = root / "README.md"
    if page_one.exists() and BEGIN in (text := page_one.read_text(encoding="utf-8")):
        page_one.write_text(readme(text, tree), encoding="utf-8")


def _list(tree: Tree) -> str:
    """The commands as Markdown: the everyday words, then each noun with its verbs."""
    lines = ["| everyday | |", "|---|---|"]
    lines += [f"| `meshctl {word}` | {_cell(text)} |" for word, text in everyday()]
    for noun, about in NOUNS.items():
        lines += ["", f"| {noun} | {_cell(about)} |", "|---|---|"]
        lines += [f"| `{noun} {verb}` | {_cell(text)} |" for verb, text in verbs(noun, tree)]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _main(tree: Tree) -> str:
    others = [f"meshctl-{word}(1)" for word in (*NOUNS, *(word for word, _ in everyday()))]
    return page(
        "meshctl",
        __version__,
        section("NAME", paragraphs(f"meshctl - {ABOUT[0].lower()}{ABOUT[1:].rstrip('.')}")),
        section("SYNOPSIS", f"{bold('meshctl')} COMMAND [ARGUMENTS] [OPTIONS]"),
        section("EVERYDAY COMMANDS", definitions(everyday())),
        section("ALL COMMANDS", definitions((one.words, one.summary) for one in tree)),
        section("GLOBAL OPTIONS", definitions(flag_lines())),
        section("ENVIRONMENT", definitions(VARIABLES)),
        section("ENVIRONMENT OF MESHD", definitions(setting_lines())),
        section("FILES", definitions(FILES)),
        section("EXIT STATUS", definitions((str(code), text) for code, text in EXIT_CODES.items())),
        section("SEE ALSO", paragraphs(", ".join(others))),
    )


def _page(word: str, about: str, under: Tree) -> str:
    return page(
        f"meshctl-{word}",
        __version__,
        section("NAME", paragraphs(f"meshctl-{word} - {about[0].lower()}{about[1:].rstrip('.')}")),
        *(_command(word, one) for one in under),
        section(
            "SEE ALSO",
            paragraphs("meshctl(1) has the options of every command, exit status and files."),
        ),
    )


def _events() -> str:
    """The types and data of the mesh's own events."""
    about, example = INTRO.partition("\n\n")[0], example_event()
    return page(
        f"meshctl-{EVENTS}",
        __version__,
        section(
            "NAME", paragraphs(f"meshctl-{EVENTS} - the events mesh.*, when and with which data")
        ),
        section("DESCRIPTION", paragraphs(f"{about}\n\nThe data of each also has by: {BY}.")),
        section(
            "EVENTS",
            *(
                f".TP\n{bold(name)}\n" + "\n.br\n".join(map(escape, lines))
                for name, lines in entries()
            ),
        ),
        section("EXAMPLE", f".nf\n{escape(example)}\n.fi"),
        section("SEE ALSO", paragraphs("meshctl-event(1), meshctl-subscription(1)")),
    )


def _command(word: str, command: Command) -> str:
    """One command; on the page of a short verb under that verb."""
    words = word if word in command.also else command.words
    same = [command.words] if word in command.also else list(command.also)
    parts = [f"{bold(f'meshctl {words}')} {paragraphs(command.usage)}", paragraphs(command.prose)]
    if same:
        parts.append(paragraphs(f"Same as: meshctl {', meshctl '.join(same)}"))
    shown = [(one.shown, one.help) for one in (*command.arguments, *command.options)]
    return section(f"meshctl {words}", "\n.PP\n".join(parts), definitions(shown))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
