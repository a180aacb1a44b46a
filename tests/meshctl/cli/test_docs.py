"""Help topics and generated documents: complete, and the same as what is committed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import meshctl as package
from meshctl.cli import system_event_texts, topics
from meshctl.cli.manual import BEGIN, END, documents, readme, write
from meshctl.cli.roff import escape, paragraphs
from meshctl.cli.scripts import SHELLS
from meshctl.cli.topics import SETTINGS, TOPICS, VARIABLES
from meshctl.cli.tree import NOUNS, ROWS
from meshctl.cli.walk import commands
from meshd.core.config import SETTINGS as OWNED
from meshd.wire.errors import EXIT_CODES
from meshd.wire.system_events import SYSTEM_EVENTS
from meshd.wire.version import VERSION
from tests.meshctl.cli.process import environment
from tests.meshctl.cli.process import meshctl as run

ROOT = Path(__file__).parents[3]
TREE = commands()


def test_committed_documents_are_what_the_tree_says():
    """`python -m meshctl.cli.manual .` writes them."""
    made = documents(TREE)
    there = {
        str(path.relative_to(ROOT)): path.read_text()
        for folder in ("man", "completions")
        for path in (ROOT / folder).iterdir()
    }
    assert there == made


def test_the_readme_lists_the_commands():
    """Between its markers, as generated."""
    text = (ROOT / "README.md").read_text()
    assert text == readme(text, TREE)


def test_documents_depend_on_nothing_else(monkeypatch):
    """No date, no terminal, no home."""
    made = documents(TREE)
    monkeypatch.setenv("COLUMNS", "33")
    monkeypatch.setenv("MESHCTL_HOME", "/elsewhere")
    monkeypatch.setenv("MESHCTL_ORG", "acme")
    assert documents(commands()) == made
    assert not any("/elsewhere" in text or "acme" in text for text in made.values())


def test_every_command_has_its_page():
    """One a noun, one a short verb, with every option on it."""
    made = documents(TREE)
    for row in ROWS:
        if row.hidden:
            continue
        for page in {row.noun or row.words, *row.also}:
            assert f"man/meshctl-{page}.1" in made
    for command in TREE:
        page = made[f"man/meshctl-{command.words.split()[0]}.1"]
        for parameter in command.parameters:
            assert escape(parameter.shown) in page
    assert set(NOUNS) <= {name[12:-2] for name in made if name.startswith("man/meshctl-")}


def test_writing_removes_what_is_no_more(tmp_path):
    """A page of a command that was taken away does not stay behind."""
    stale = tmp_path / "man" / "meshctl-gone.1"
    stale.parent.mkdir()
    stale.touch()
    (tmp_path / "README.md").write_text(f"a\n{BEGIN}\nold\n{END}\nb\n")
    write(tmp_path)
    assert not stale.exists()
    text = (tmp_path / "README.md").read_text()
    assert text.startswith(f"a\n{BEGIN}\n| everyday")
    assert text.endswith(f"{END}\nb\n")
    assert "old" not in text


def test_a_readme_without_markers_is_said():
    """Nothing is guessed about where the list goes."""
    with pytest.raises(ValueError, match="commands"):
        readme("no markers", TREE)


@pytest.mark.parametrize(
    ("text", "roff"),
    [
        ("--json", "\\-\\-json"),
        (".hidden", "\\&.hidden"),
        ("'quoted", "\\&'quoted"),
        ("a\\b", "a\\eb"),
        ("URL | …", "URL | ..."),
    ],
)
def test_roff_is_escaped(text, roff):
    """A line that begins with a dot would be a command of roff."""
    assert escape(text) == roff


def test_paragraphs():
    """Folded lines join; blank lines part."""
    assert paragraphs("a\nb\n\n.c") == "a b\n.PP\n\\&.c"


def test_settings_are_the_daemons():
    """The client may not import their table; its copy is held to it here."""
    assert [(one.env, one.shown_default, one.help) for one in OWNED] == list(SETTINGS)


def test_variables_are_read_somewhere():
    """A variable in the help that nothing reads would be a lie, and so would one left out."""
    sources = "\n".join(
        path.read_text() for path in (ROOT / "meshctl").rglob("*.py") if path.name != "topics.py"
    )
    read = set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", sources))
    assert {name for name, _ in VARIABLES} == read - {"HOME"}


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_explains(home, topic):
    """Without a daemon, on a terminal of 100 columns."""
    ran = run("help", topic, home=home)
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.out.splitlines()) >= 3
    assert max(map(len, ran.out.replace(home.text, "H").splitlines())) <= 110


def test_topics_list_their_tables():
    """Exit codes, variables and settings stand in their topics one by one."""
    for code in EXIT_CODES:
        assert re.search(rf"^  {code} ", topics.exit_codes(), re.MULTILINE)
    for name, *_ in (*VARIABLES, *SETTINGS):
        assert re.search(rf"^  {name} ", topics.environment(), re.MULTILINE)


def test_system_events_have_a_topic_and_a_page():
    """Each type with each of its fields, as the daemon publishes them."""
    topic, page = system_event_texts.topic(), documents(TREE)["man/meshctl-system-events.1"]
    for row in SYSTEM_EVENTS.values():
        entry = topic.partition(f"\n{row.type}\n")[2].partition("\n\n")[0]
        assert escape(row.type) in page
        for one in row.fields:
            assert re.search(rf"^  {one.name} \({one.shape}", entry, re.MULTILINE), (row.type, one)
            assert escape(f"{one.name} ({one.shape}") in page


def test_commands_in_topics_exist():
    """What a topic tells to type can be typed."""
    words = {one.words for one in TREE} | {also for one in TREE for also in one.also}
    for topic, (_, text) in TOPICS.items():
        from meshctl.client.home import Home

        for first, second in re.findall(
            r"^  meshctl ([a-z-]+)(?: ([a-z-]+))?", text(Home("/h")), re.MULTILINE
        ):
            assert first in words or f"{first} {second}" in words, (topic, first, second)


def test_help_of_a_command(home):
    """By its words, the same as with --help."""
    assert run("help", "key", "add", home=home).out == run("key", "add", "--help", home=home).out


def test_versions_agree():
    """The package says the same as the contract."""
    assert package.__version__ == VERSION


def complete(home, line, *, names=""):
    """What bash offers for a line."""
    (home.root / "bin").mkdir(exist_ok=True)
    fake = home.root / "bin" / "meshctl"
    fake.write_text(f"#!/bin/sh\nprintf '%s\\n' {names} \"$@\"\n")
    fake.chmod(0o700)
    words = line.split(" ")
    script = (
        f"source {ROOT}/completions/meshctl.bash\n"
        f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
        '_meshctl; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    path = f"{home.root}/bin:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True,
        env={**environment(home), "PATH": path}, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("meshctl st", ["status", "stdio"]),
        ("meshctl key ", ["list", "show", "add", "edit", "rotate", "revoke"]),
        ("meshctl --json key ro", ["rotate"]),
        ("meshctl --org acme key ro", ["rotate"]),
        ("meshctl key add --ro", ["--role"]),
        ("meshctl add-key x --exp", ["--expires"]),
        ("meshctl key list --qu", ["--quiet"]),
        ("meshctl add-key --expires ", []),
        ("meshctl help exi", ["exit-codes"]),
        ("meshctl key show n", ["names"]),
        ("meshctl tool call g", ["github"]),
        ("meshctl stdio g", ["github"]),
        ("meshctl key show ci n", []),
        ("meshctl nonsense ", []),
    ],
)
def test_bash_completes(home, line, offered):
    """Words, options behind flags with values, topics, and names from the daemon."""
    assert complete(home, line, names="github") == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_printed(home, shell):
    """`meshctl completion SHELL` is the committed script."""
    ran = run("completion", shell, home=home)
    assert ran == (0, SHELLS[shell](TREE), "")


def test_scripts_hold_every_word():
    """Each shell knows each command and each option."""
    for write_script in SHELLS.values():
        script = write_script(TREE)
        for command in TREE:
            for word in command.words.split():
                assert re.search(rf"[\s'(]{word}[\s':)]", script), word
            for option in command.options:
                for word in option.options:
                    if word.startswith("--") and not word.startswith("--no-"):
                        assert word in script or f"-l {word[2:]}" in script
