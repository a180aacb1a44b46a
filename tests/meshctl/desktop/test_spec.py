"""Names, credentials and holes of a server spec."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshctl.desktop.placeholders import placeholders
from meshctl.desktop.spec import RESERVED, ServerSpec, bare_url, connection_name, looks_secret


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("@modelcontextprotocol/server-everything", "everything"),
        ("mcp-server-time", "time"),
        ("mcp_server_fetch", "fetch"),
        ("@scope/server-foo", "foo"),
        ("@playwright/mcp@latest", "playwright"),
        ("@notionhq/notion-mcp-server", "notion"),
        ("@upstash/context7-mcp@1.0.2", "context7"),
        ("ghcr.io/github/github-mcp-server:latest", "github"),
        ("mcp/time", "time"),
        ("mcp-server-git==1.0", "git"),
        ("mcp-server-git[extra]", "git"),
        ("git+https://github.com/oraios/serena", "serena"),
        ("https://github.com/acme/mcp-server-foo.git", "foo"),
        ("https://mcp.linear.app/sse", "linear"),
        ("https://api.githubcopilot.com/mcp/", "githubcopilot"),
        ("https://user:pass@mcp.example.co.uk:8443/mcp?key=1", "example"),
        ("http://localhost:3000/mcp", "localhost"),
        ("http://127.0.0.1:9000/weather/mcp", "weather"),
        ("http://[::1]:9000/", "1"),
        ("GitHub (work)", "github-work"),
        ("Ünï còde", "uni-code"),
        ("time", "time"),
        ("self", "server"),
        ("well-known", "server"),
        ("mcp", "server"),
        ("天气", "server"),
        ("", "server"),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_name_out_of_any_text(text, name):
    """Scopes, versions, tags and the words that only say MCP fall away."""
    assert connection_name(text) == name


@given(st.one_of(st.text(), st.from_regex(r"(?:mcp-|server-|@a/|https?://)*[a-z0-9.:/@-]{0,60}")))
def test_a_name_is_always_legal_and_stable(text):
    """Whatever comes in, the rule for names holds, and a name stays itself."""
    name = connection_name(text)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name)
    assert name not in RESERVED
    assert connection_name(name) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_TOKEN", "abc"),
        ("apiKey", "abc"),
        ("--api-key", "abc"),
        ("X-Api-Key", "abc"),
        ("Authorization", "abc"),
        ("DB_PASSWORD", "hunter2"),
        ("x", "sk-proj-abcdefgh12"),
        ("x", "ghp_abcdefgh1234"),
        ("x", "xoxb-123456789012-x"),
        ("x", "Bearer abc"),
        ("DATABASE_URL", "postgres://ada:secret@db/x"),
        ("x", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0"),
        ("x", "4f7c2a9b81d04e6fa3b5c7d9e1f20384"),
        ("x", "Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZg=="),
    ],
)
def test_credentials_are_seen(name, value):
    """By the name of the field, or by the shape of the value."""
    assert looks_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_TOKENS", "4096"),
        ("API_TOKEN", ""),
        ("USE_TOKEN", "true"),
        ("TOKEN", "env:GITHUB_TOKEN"),
        ("TOKEN", "secret://github"),
        ("TOKEN", "@/run/secrets/token"),
        ("TOKEN", "${GITHUB_TOKEN}"),
        ("Authorization", "Bearer ${input:token}"),
        ("TOKEN_FILE", "/run/secrets/x"),
        ("LOG_LEVEL", "debug"),
        ("MONKEY", "george"),
        ("PATH", "/usr/local/lib/node22/bin:/usr/bin"),
        ("URL", "https://example.com/a/b"),
        ("PACKAGE", "@modelcontextprotocol/server-everything2"),
        ("HOST", "applicationserver2production"),
        ("ID", "000000000000000000000000001"),
        ("TENANT", "7f9c24e8-3b1a-4f60-9c8d-0a1b2c3d4e5f"),
    ],
)
def test_ordinary_values_are_not(name, value):
    """References, switches, numbers, paths and identifiers raise no alarm."""
    assert not looks_secret(name, value)


def test_repr_shows_no_value():
    """A spec may end up in a log or a traceback; its credentials may not."""
    http = ServerSpec(
        "a", "http", url="https://u:SECRET@h.example/mcp?k=SECRET#x", headers={"X-Key": "SECRET"}
    )
    stdio = ServerSpec("b", "stdio", command=("npx", "--key", "SECRET"), env={"K": "SECRET"})
    assert repr(http) == "ServerSpec('a', http, https://h.example/mcp?…, headers=['X-Key'])"
    assert repr(stdio) == "ServerSpec('b', stdio, command=npx +2, env=['K'])"
    assert bare_url("https://h.example/mcp") == "https://h.example/mcp"


@pytest.mark.parametrize(
    ("value", "hole"),
    [
        ("Bearer ${GITHUB_TOKEN}", "${GITHUB_TOKEN}"),
        ("${env:X}", "${env:X}"),
        ("${input:token}", "${input:token}"),
        ("${VAR:-fallback}", "${VAR:-fallback}"),
        ("$API_KEY", "$API_KEY"),
        ("$(cat token)", "$(cat token)"),
        ("{{token}}", "{{token}}"),
        ("<YOUR_TOKEN>", "<YOUR_TOKEN>"),
        ("<your token here>", "<your token here>"),
        ("YOUR_API_KEY", "YOUR_API_KEY"),
        ("your-token", "your-token"),
        ("[YOUR KEY]", "[YOUR KEY]"),
        ("INSERT_KEY_HERE", "INSERT_KEY_HERE"),
        ("CHANGE_ME", "CHANGE_ME"),
        ("ghp_xxxxxxxx", "xxxxxxxx"),
        ("sk-...", "..."),
        ("/path/to/server.py", "/path/to/"),
        ("/Users/username/x", "/Users/username"),
    ],
)
def test_a_hole_is_found(value, hole):
    """Every notation that a README uses for: put yours here."""
    assert placeholders(ServerSpec("a", "stdio", command=("x",), env={"V": value})) == [
        f"env V holds {hole}"
    ]


@pytest.mark.parametrize(
    "value",
    ["ghp_abc", "a$b", "./...", "xxx", "pa$word", "https://x/a?b=1", "tourist", "1 < 2 > 0"],
)
def test_an_ordinary_value_has_no_hole(value):
    """What only resembles a placeholder does not stop anybody."""
    assert placeholders(ServerSpec("a", "stdio", command=("x", value))) == []


def test_holes_are_named_by_their_place_without_the_rest_of_the_value():
    """The line says which field to fill, and shows nothing else of it."""
    http = ServerSpec(
        "a", "http", url="https://${HOST}/mcp", headers={"Authorization": "Bearer SECRET ${T} ${T}"}
    )
    assert placeholders(http) == ["url holds ${HOST}", "header Authorization holds ${T}"]
    stdio = ServerSpec(
        "b",
        "stdio",
        command=("node", "--key=<KEY>"),
        env={"API_KEY": "", "X": ""},
        cwd="/path/to/x",
    )
    assert placeholders(stdio) == [
        "argument 1 holds <KEY>",
        "cwd holds /path/to/",
        "env API_KEY is empty",
    ]
