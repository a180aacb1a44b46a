"""Which command lines start a server, and what that server is called."""

from __future__ import annotations

import shlex

import pytest

from meshctl.desktop.launchers import is_launcher, server_name, starts_server


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("npx -y @modelcontextprotocol/server-everything stdio", "everything"),
        ("npx -p @acme/tools -y weather-mcp", "weather"),
        ("npx -y mcp-remote https://mcp.linear.app/sse", "linear"),
        ("npx tsx src/index.ts", "server"),
        ("bunx @playwright/mcp@latest", "playwright"),
        ("pnpm dlx mcp-server-time", "time"),
        ("uvx mcp-server-time --local-timezone=Europe/Berlin", "time"),
        ("uvx --from git+https://github.com/oraios/serena serena start-mcp-server", "serena"),
        ("uv --directory /srv/weather run server.py", "weather"),
        ("uv run --with mcp mcp-server-git", "git"),
        ("pipx run mcp-server-fetch", "fetch"),
        ("python -m mcp_server_fetch", "fetch"),
        ("python3.12 -W ignore -m mcp_server_git --repository .", "git"),
        ("/usr/bin/python3 /srv/weather/server.py", "weather"),
        ("node /srv/foo/build/index.js", "foo"),
        (
            "docker run -i --rm -e TOKEN -v /a:/b ghcr.io/github/github-mcp-server:v1 stdio",
            "github",
        ),
        ("docker run --name x mcp/time@sha256:00ff", "time"),
        ("go run github.com/acme/mcp-thing@latest", "thing"),
        ("java -jar /opt/acme-mcp.jar", "acme"),
        ("/opt/tools/bin/github-mcp-server stdio", "github"),
        ("my-mcp-server", "my"),
        ("npx", "npx"),
    ],
)
def test_the_server_gives_the_name(line, name):
    """Not the launcher, not its options, not a file called index.js."""
    assert server_name(shlex.split(line)) == name


@pytest.mark.parametrize(
    "word", ["npx", "uvx", "/opt/x", "./x", "~/x", "python3", "my-mcp", "mcp-x"]
)
def test_first_words_of_a_server_command(word):
    """Known launchers, paths, and names that say MCP."""
    assert is_launcher(word)


@pytest.mark.parametrize("word", ["hello", "mcp", "pip", "sudo", "cd", "brew"])
def test_first_words_of_anything_else(word):
    """Prose and other programs."""
    assert not is_launcher(word)


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        ("npm install -g x", False),
        ("npm exec x", True),
        ("uv pip install x", False),
        ("uv tool run x", True),
        ("docker pull x", False),
        ("docker run x", True),
        ("npx x", True),
    ],
)
def test_installing_is_not_starting(line, starts):
    """Package managers do both; only one is a server."""
    assert starts_server(line.split()) is starts
