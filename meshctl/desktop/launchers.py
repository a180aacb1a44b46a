"""Programs that start MCP servers, and the server's name out of such a command line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from meshctl.desktop.spec import FALLBACK_NAME, bare_program, connection_name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DOCKER = _words(
    "-e --env -v --volume --mount -p --publish --name --network --net --env-file -w --workdir"
    " --platform --entrypoint -u --user --add-host --pull -l --label -m --memory --cpus"
    " --gpus --restart --tmpfs --cap-drop --cap-add --security-opt -h --hostname --dns"
)
_NODE = _words("-p --package -c --call --registry --prefix -r --require --import --loader")
_PYTHON = _words(
    "--from --with --with-editable --with-requirements --python -p --directory --project --index"
    " --index-url --extra-index-url --default-index --extra --group --env-file -W -X"
    " --spec --pip-args --refresh-package --constraints"
)
_JAVA = _words("-cp -classpath --class-path --project")

# Program: its words before the server ("run", "dlx"), and its options that take a value.
_PROGRAMS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "npx": (frozenset(), _NODE),
    "bunx": (frozenset(), _NODE),
    "pnpx": (frozenset(), _NODE),
    "npm": (frozenset({"exec", "x", "run", "start"}), _NODE),
    "pnpm": (frozenset({"dlx", "exec", "run", "start"}), _NODE),
    "yarn": (frozenset({"dlx", "exec", "run", "start"}), _NODE),
    "bun": (frozenset({"run", "x"}), _NODE),
    "deno": (frozenset({"run"}), _NODE),
    "node": (frozenset(), _NODE),
    "tsx": (frozenset(), _NODE),
    "uvx": (frozenset(), _PYTHON),
    "uv": (frozenset({"run", "tool"}), _PYTHON),
    "pipx": (frozenset({"run"}), _PYTHON),
    "python": (frozenset(), _PYTHON),
    "docker": (frozenset({"run", "container"}), _DOCKER),
    "podman": (frozenset({"run", "container"}), _DOCKER),
    "nerdctl": (frozenset({"run", "container"}), _DOCKER),
    "go": (frozenset({"run"}), frozenset()),
    "java": (frozenset(), _JAVA),
    "dotnet": (frozenset({"run", "tool", "exec"}), _JAVA),
    "dnx": (frozenset(), frozenset({"--source", "--version"})),
}
# These do more than start things: without one of their words they are no server's command.
_NEEDS_WORD = frozenset({"npm", "pnpm", "yarn", "uv", "pipx", "docker", "podman", "nerdctl", "go"})
_MODULE = frozenset({"-m", "--module", "-jar"})
_SCRIPT = re.compile(r"\.(?:[cm]?[jt]sx?|py|jar|dll|exe|sh|rb)$")
# File and folder names that every project has.
_NAMELESS = _words(
    "server main index app cli mcp run start stdio src dist build out bin lib target release debug"
    " __main__ mcp-server mcp_server"
)
# Programs whose argument is the server: `npx mcp-remote https://…`, `npx tsx src/index.ts`.
_WRAPPERS = frozenset({"mcp-remote", "mcp-proxy", "supergateway", "tsx", "ts-node", "node"})


def is_launcher(program: str) -> bool:
    """Tell whether a first word starts a server: npx, uvx, docker, …, a path, or `…-mcp…`."""
    if program.startswith(("/", "./", "../", "~/")):
        return True
    return _known(program) in _PROGRAMS or bool(re.search(r"\w[-_]mcp\b|\bmcp[-_]\w", program))


def starts_server(command: Sequence[str]) -> bool:
    """Tell whether a command line of a launcher starts something: `npm install x` does not."""
    program = _known(command[0])
    if program not in _NEEDS_WORD:
        return True
    words, valued = _PROGRAMS[program]
    first = next(iter(_positionals(command[1:], valued)), "")
    return first in words


def server_name(command: Sequence[str]) -> str:
    """Return a legal name for the server that a command line starts."""
    if not command:
        return FALLBACK_NAME
    program = _known(command[0])
    if program not in _PROGRAMS:
        return _name_of(command[0])
    words, valued = _PROGRAMS[program]
    for word in _positionals(command[1:], valued):
        if word in words or word in _WRAPPERS:
            continue
        if _SCRIPT.sub("", word).casefold() in _NAMELESS:
            return _name_of(_option(command, "--directory") or word)
        return _name_of(word)
    return connection_name(program)


def _known(program: str) -> str:
    name = bare_program(program)
    return "python" if re.fullmatch(r"python[\d.]*", name) else name


def _positionals(words: Sequence[str], valued: frozenset[str]) -> list[str]:
    """Return the words that are neither options nor their values; a module's name counts."""
    found: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif not word.startswith("-"):
            found.append(word)
        else:
            skip = word in valued and word not in _MODULE
    return found


def _option(words: Sequence[str], option: str) -> str | None:
    return next((value for name, value in pairwise(words) if name == option), None)


def _name_of(word: str) -> str:
    """Return the name of a package, an image, a module or a script."""
    if not _SCRIPT.search(word) and not word.startswith(("/", ".", "~")):
        return connection_name(word)
    steps = [step for step in _SCRIPT.sub("", word).replace("\\", "/").split("/") if step]
    for step in reversed(steps):
        if step.casefold() not in _NAMELESS and step.strip(".~"):
            return connection_name(step)
    return FALLBACK_NAME
