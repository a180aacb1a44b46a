"""Completion scripts for bash, zsh and fish, written from the tree.

They are static: only the names of connections and keys are asked for, from the daemon, through
`meshctl completion names KIND`, which is silent when it is down or slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshctl.cli.flags import GLOBAL
from meshctl.cli.topics import TOPICS
from meshctl.cli.tree import NOUNS
from meshctl.cli.walk import first_words, verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from meshctl.cli.walk import Command

    Tree = tuple[Command, ...]

KINDS: Mapping[str, str] = {"CONNECTION": "connection", "KEY": "key", "ORG": "org"}
"""A first argument's name in the help, and the kind of names that completes it."""

FLAGS = tuple(word for word, *_ in GLOBAL)

_HEAD = "# Completion of meshctl for {}, generated from the tree of commands."


def bash(tree: Tree) -> str:
    """For bash 3.2, macOS's, and later."""
    cases = [f"        '{at} ') words='{_joined(words)}' ;;" for at, words in _next_words(tree)]
    for words, command in _paths(tree):
        depth = words.count(" ") + 1
        pattern = f"'{words}'" if depth == 2 else f"'{words} '*"
        options = " ".join(_options(command))
        cases.append(
            f"        {pattern}) depth={depth} options='{options}' names='{_kind(command)}' ;;"
        )
    return _BASH.format(
        head=_HEAD.format("bash"),
        valued="|".join(_valued(tree)),
        flags=" ".join(FLAGS),
        cases="\n".join(cases),
    )


def zsh(tree: Tree) -> str:
    """For zsh 5 and later."""
    cases = [f"    '{at} ') words_=({_described(words)}) ;;" for at, words in _next_words(tree)]
    for words, command in _paths(tree):
        depth = words.count(" ") + 1
        pattern = f"'{words}'" if depth == 2 else f"'{words} '*"
        options = _described((one, "") for one in _options(command))
        cases.append(f"    {pattern}) depth={depth} options=({options}) names={_kind(command)} ;;")
    return _ZSH.format(
        head=_HEAD.format("zsh"),
        valued="|".join(_valued(tree)),
        flags=_described((word, text) for word, _, _, text in GLOBAL),
        cases="\n".join(cases),
    )


def fish(tree: Tree) -> str:
    """For fish 3.1 and later."""
    lines = [_HEAD.format("fish"), _FISH]
    for at, words in _next_words(tree):
        asked = f"__meshctl_at {at}".rstrip()
        for word, text in words:
            lines.append(f"complete -c meshctl -n '{asked}' -a {word} -d {_quoted(text)}")
    for path, command in _paths(tree):
        for option in command.options:
            long = next(one for one in option.options if one.startswith("--"))
            needs = " -r" if option.takes_value else ""
            lines.append(
                f"complete -c meshctl -n '__meshctl_in {path}' -l {long[2:]}{needs}"
                f" -d {_quoted(option.help)}"
            )
        if kind := _kind(command):
            names = f"'(meshctl completion names {kind} 2>/dev/null)'"
            lines.append(f"complete -c meshctl -n '__meshctl_at {path}' -a {names}")
    for word, value, _, text in GLOBAL:
        needs = " -r" if value else ""
        lines.append(f"complete -c meshctl -l {word[2:]}{needs} -d {_quoted(text)}")
    return "\n".join(lines) + "\n"


SHELLS: Mapping[str, Callable[[Tree], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""The writer for each shell."""

FILES: Mapping[str, str] = {"bash": "meshctl.bash", "zsh": "_meshctl", "fish": "meshctl.fish"}
"""What each shell's script is called in `completions/`."""


def _next_words(tree: Tree) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Where a fixed word may follow, and which: at the beginning, behind a noun, behind `help`."""
    yield "", list(first_words(tree))
    for noun in NOUNS:
        yield noun, list(verbs(noun, tree))
    yield "help", [(topic, summary) for topic, (summary, _) in TOPICS.items()]


def _paths(tree: Tree) -> Iterator[tuple[str, Command]]:
    for command in tree:
        for words in (command.words, *command.also):
            yield words, command


def _options(command: Command) -> tuple[str, ...]:
    words = (word for one in command.options for word in one.options)
    return (*(word for word in words if word.startswith("--")), "--help")


def _valued(tree: Tree) -> list[str]:
    """Every option that takes the word behind it."""
    words = {
        word
        for command in tree
        for one in command.options
        if one.takes_value
        for word in one.options
    }
    return sorted(words | {word for word, value, *_ in GLOBAL if value})


def _kind(command: Command) -> str:
    for argument in command.arguments[:1]:
        return KINDS.get(argument.shown.strip("[]{}"), "")
    return ""


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    return " ".join(word for word, _ in pairs)


def _described(pairs: Iterable[tuple[str, str]]) -> str:
    return " ".join(_quoted(f"{word}:{text}" if text else word) for word, text in pairs)


def _quoted(text: str) -> str:
    """One word in single quotes, as all three shells read it."""
    return "'" + text.replace("'", "'\\''") + "'"


_BASH = """\
{head}

_meshctl() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" first='' second='' place=0 skip='' word
    local words='' options='--help' names='' depth=0
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ -n $skip ]]; then skip=''; continue; fi
        case "$word" in
            {valued}) skip=1 ;;
            -*) ;;
            *)
                place=$((place + 1))
                [[ $place -eq 1 ]] && first="$word"
                [[ $place -eq 2 ]] && second="$word"
                ;;
        esac
    done
    COMPREPLY=()
    [[ -n $skip ]] && return
    case "$first $second" in
{cases}
    esac
    if [[ $current == -* ]]; then
        words="$options {flags}"
    elif [[ -n $names && $place -eq $depth ]]; then
        words=$(meshctl completion names "$names" 2>/dev/null)
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}

complete -o default -F _meshctl meshctl
"""

_ZSH = """\
#compdef meshctl
{head}

_meshctl() {{
  local first='' second='' place=0 skip='' word names='' depth=0
  local -a words_ options
  options=('--help')
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    if [[ -n $skip ]]; then skip=''; continue; fi
    case "$word" in
      {valued}) skip=1 ;;
      -*) ;;
      *)
        (( place += 1 ))
        (( place == 1 )) && first="$word"
        (( place == 2 )) && second="$word"
        ;;
    esac
  done
  if [[ -n $skip ]]; then _files; return; fi
  case "$first $second" in
{cases}
  esac
  if [[ ${{words[CURRENT]}} == -* ]]; then
    options+=({flags})
    _describe 'option' options
  elif [[ -n $names && $place -eq $depth ]]; then
    words_=(${{(f)"$(meshctl completion names $names 2>/dev/null)"}})
    _describe 'name' words_
  elif (( ${{#words_}} )); then
    _describe 'command' words_
  else
    _files
  fi
}}

_meshctl "$@"
"""

_FISH = """
function __meshctl_words
    set -l words (commandline -opc)
    string match -v -- '-*' $words[2..]
end

function __meshctl_at
    set -l words (__meshctl_words)
    test "$words" = "$argv"
end

function __meshctl_in
    set -l words (__meshctl_words)
    string match -q -- "$argv *" "$words "
end
"""
