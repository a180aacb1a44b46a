"""Everything that people paste, read into specs; and pastes that are none."""

from __future__ import annotations

import pytest

from meshctl.desktop.paste import LIMIT, PasteError, placeholders, read_paste
from meshctl.desktop.spec import ServerSpec


def http(name, url, transport="http", **headers):
    return ServerSpec(name, transport, url=url, headers=headers, source="pasted")


def stdio(name, *command, env=None, cwd=None, disabled=False):
    return ServerSpec(
        name, "stdio", command=command, env=env or {}, cwd=cwd, source="pasted", disabled=disabled
    )


TIME = stdio("time", "uvx", "mcp-server-time")
WEATHER = stdio("weather", "npx", "-y", "weather-mcp", env={"KEY": "v"})
NOTION = http("notion", "https://mcp.notion.com/mcp")

JSON = {
    "mcpServers": (
        '{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}',
        [TIME],
    ),
    "VS Code": (
        '{"inputs": [], "servers": {"notion": {"type": "http", "url": "https://mcp.notion.com/mcp"}}}',
        [NOTION],
    ),
    "VS Code settings": (
        '{"mcp": {"servers": {"notion": {"url": "https://mcp.notion.com/mcp"}}}}',
        [NOTION],
    ),
    "Zed": (
        '{"context_servers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}',
        [TIME],
    ),
    "Zed, former": (
        '{"context_servers": {"time": {"command": {"path": "uvx", "args": ["mcp-server-time"]}}}}',
        [TIME],
    ),
    "opencode": (
        '{"mcp": {"time": {"type": "local", "command": ["uvx", "mcp-server-time"], "enabled": true}}}',
        [TIME],
    ),
    "names and entries": ('{"time": {"command": "uvx", "args": ["mcp-server-time"]}}', [TIME]),
    "a server called mcp": ('{"mcp": {"command": "uvx"}}', [stdio("mcp", "uvx")]),
    "bare command": ('{"command": "uvx", "args": ["mcp-server-time"]}', [TIME]),
    "bare URL": ('{"url": "https://mcp.notion.com/mcp"}', [NOTION]),
    "bare, named": ('{"name": "n", "uri": "https://mcp.notion.com/mcp"}', [http("n", NOTION.url)]),
    "a list": ('[{"name": "notion", "url": "https://mcp.notion.com/mcp"}]', [NOTION]),
    "fragment": ('"time": {"command": "uvx", "args": ["mcp-server-time"]},', [TIME]),
    "fragment of a block": (
        '"mcpServers": {"notion": {"url": "https://mcp.notion.com/mcp"}}',
        [NOTION],
    ),
    "fragment under a comment": (
        '// add this\n"notion": {"url": "https://mcp.notion.com/mcp"}',
        [NOTION],
    ),
    "comments, trailing commas": (
        '{ // yours\n "mcpServers": { "time": { "command": "uvx", /* x */ "args": ["mcp-server-time",], }, }, }',
        [TIME],
    ),
    "smart quotes": ("{“time”: {“command”: “uvx”, “args”: [“mcp-server-time”]}}", [TIME]),
    "smart quotes, fragment": ("“time”: {“command”: “uvx”, “args”: [“mcp-server-time”]}", [TIME]),
    "no-break spaces": (
        '\u00a0{\u00a0"time":\u00a0{"command": "uvx", "args": ["mcp-server-time"]}}',
        [TIME],
    ),
    "smart quotes inside stay": (
        '{"a": {"command": "x", "args": ["“q”"]}}',
        [stdio("a", "x", "“q”")],
    ),
    "Windsurf": ('{"notion": {"serverUrl": "https://mcp.notion.com/mcp"}}', [NOTION]),
    "Gemini": ('{"n": {"httpUrl": "https://h.example/sse"}}', [http("n", "https://h.example/sse")]),
    "Cline": (
        '{"notion": {"type": "streamableHttp", "url": "https://mcp.notion.com/mcp"}}',
        [NOTION],
    ),
    "streamable-http": (
        '{"notion": {"type": "streamable-http", "url": "https://mcp.notion.com/mcp"}}',
        [NOTION],
    ),
    "sse said": (
        '{"n": {"type": "sse", "url": "https://h.example/x"}}',
        [http("n", "https://h.example/x", "sse")],
    ),
    "sse seen": (
        '{"n": {"url": "https://h.example/sse"}}',
        [http("n", "https://h.example/sse", "sse")],
    ),
    "headers": (
        '{"n": {"url": "https://h.example/m", "headers": {"Authorization": "Bearer ${T}", "N": 1, "Z": null}}}',
        [http("n", "https://h.example/m", Authorization="Bearer ${T}", N="1")],
    ),
    "everything of stdio": (
        '{"a": {"type": "stdio", "command": "node", "args": ["x.js", 8080], "env": {"B": true}, "cwd": "/srv", "disabled": true, "autoApprove": []}}',
        [stdio("a", "node", "x.js", "8080", env={"B": "true"}, cwd="/srv", disabled=True)],
    ),
    "a line as the command": ('{"time": {"command": "uvx mcp-server-time"}}', [TIME]),
    "a path with a space": (
        '{"a": {"command": "/opt/My App/x", "args": ["y"]}}',
        [stdio("a", "/opt/My App/x", "y")],
    ),
    "a placeholder for the URL": ('{"a": {"url": "${URL}"}}', [http("a", "${URL}")]),
    "two servers": (
        '{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}, "notion": {"url": "https://mcp.notion.com/mcp"}}}',
        [TIME, NOTION],
    ),
}

CURL = """\
curl -sS -X POST 'https://mcp.notion.com/mcp' \\
  -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\
  -H 'MCP-Protocol-Version: 2025-06-18' -H 'mcp-session-id: 1' \\
  --header='Authorization: Bearer t' \\
  -HX-A:b -d '{"jsonrpc":"2.0"}' | jq .
"""

LINES = {
    "claude, http": ("claude mcp add --transport http notion https://mcp.notion.com/mcp", [NOTION]),
    "claude, options last": (
        "claude mcp add notion --transport=http https://mcp.notion.com/mcp -s user",
        [NOTION],
    ),
    "claude, no transport": ("claude mcp add notion https://mcp.notion.com/mcp", [NOTION]),
    "claude, sse": (
        "claude mcp add -t sse asana https://mcp.asana.com/sse",
        [http("asana", "https://mcp.asana.com/sse", "sse")],
    ),
    "claude, header": (
        'claude mcp add --transport http x https://h.example/mcp \\\n  --header "Authorization: Bearer t" --header "X-A: b"',
        [http("x", "https://h.example/mcp", **{"Authorization": "Bearer t", "X-A": "b"})],
    ),
    "claude, several values": (
        'claude mcp add -e A=1 B=2 -H "X-A: 1" "X-B: 2" -- n npx p',
        [stdio("n", "npx", "p", env={"A": "1", "B": "2"})],
    ),
    "claude, stdio": ("claude mcp add weather -s user -e KEY=v -- npx -y weather-mcp", [WEATHER]),
    "claude, env before the name": (
        "claude mcp add --env KEY=v weather -- npx -y weather-mcp",
        [WEATHER],
    ),
    "claude, options of the command": (
        "claude mcp add x -- docker run -e K=v -s image",
        [stdio("x", "docker", "run", "-e", "K=v", "-s", "image")],
    ),
    "claude, without --": ("claude mcp add weather npx -y weather-mcp --env KEY=v", [WEATHER]),
    "claude, add-json": (
        """claude mcp add-json weather '{"command":"npx","args":["-y","weather-mcp"],\n"env":{"KEY":"v"}}' -s user""",
        [WEATHER],
    ),
    "codex": (
        "codex mcp add x --url https://h.example/mcp --bearer-token-env-var TOK",
        [http("x", "https://h.example/mcp", Authorization="Bearer ${TOK}")],
    ),
    "gemini": ("gemini mcp add -t http notion https://mcp.notion.com/mcp", [NOTION]),
    "code": (
        """code --add-mcp '{"name":"time","command":"uvx","args":["mcp-server-time"]}'""",
        [TIME],
    ),
    "code, double quotes": (
        r'code-insiders --add-mcp="{\"name\":\"notion\",\"url\":\"https://mcp.notion.com/mcp\"}"',
        [NOTION],
    ),
    "curl": (
        CURL,
        [http("notion", "https://mcp.notion.com/mcp", **{"Authorization": "Bearer t", "X-A": "b"})],
    ),
    "curl, URL last": (
        "curl --silent -H 'X-A: b' --data-raw '{}' --max-time 5 --url https://mcp.notion.com/mcp -o /dev/null",
        [http("notion", "https://mcp.notion.com/mcp", **{"X-A": "b"})],
    ),
    "curl, user": (
        "curl -Nu a:b http://localhost:1/sse",
        [http("localhost", "http://localhost:1/sse", "sse", Authorization="Basic YTpi")],
    ),
    "URL": ("  https://mcp.notion.com/mcp\n", [NOTION]),
    "URL in angle brackets": ("<https://mcp.notion.com/mcp>", [NOTION]),
    "URL with a query": (
        "https://h.example/mcp?a=1&b=2#f",
        [http("h", "https://h.example/mcp?a=1&b=2#f")],
    ),
    "npx": ("$ KEY=v npx -y weather-mcp", [WEATHER]),
    "env": ("env KEY=v npx -y weather-mcp", [WEATHER]),
    "exported": ("# first\nexport KEY=v\n\nnpx -y weather-mcp  # then this", [WEATHER]),
    "in backticks": ("`uvx mcp-server-time`", [TIME]),
    "continued": (
        "npx \\ \r\n  -y \\\r\n weather-mcp",
        [stdio("weather", "npx", "-y", "weather-mcp")],
    ),
    "smart quotes": ("node x-mcp.js “a b”", [stdio("x", "node", "x-mcp.js", "a b")]),
    "nothing is expanded": (
        "uvx x-mcp $HOME ~ *.py `id`",
        [stdio("x", "uvx", "x-mcp", "$HOME", "~", "*.py", "`id`")],
    ),
    "two lines": (
        "uvx mcp-server-time\nclaude mcp add notion https://mcp.notion.com/mcp",
        [TIME, NOTION],
    ),
    "docker": (
        "docker run -i --rm -e TOKEN=<YOUR_TOKEN> mcp/time",
        [stdio("time", "docker", "run", "-i", "--rm", "-e", "TOKEN=<YOUR_TOKEN>", "mcp/time")],
    ),
    "python": ("python -m mcp_server_time", [stdio("time", "python", "-m", "mcp_server_time")]),
}

FENCED = {
    "one fence": (
        'Add this:\n\n```json\n{"time": {"command": "uvx", "args": ["mcp-server-time"]}}\n```\nDone.',
        [TIME],
    ),
    "among others": (
        "```sh\nnpm install -g x\n```\n~~~bash\nuvx mcp-server-time\n~~~\n```\nhttps://mcp.notion.com/mcp\n```",
        [TIME, NOTION],
    ),
    "the same twice": ("```\nuvx mcp-server-time\n```\n```\n$ uvx mcp-server-time\n```", [TIME]),
    "never closed": ("```bash\nuvx mcp-server-time", [TIME]),
}


@pytest.mark.parametrize(("text", "specs"), JSON.values(), ids=JSON)
def test_json(text, specs):
    """Blocks, fragments and entries in every client's dialect."""
    assert read_paste(text) == specs


@pytest.mark.parametrize(("text", "specs"), LINES.values(), ids=LINES)
def test_lines(text, specs):
    """Commands, URLs and curl lines."""
    assert read_paste(text) == specs


@pytest.mark.parametrize(("text", "specs"), FENCED.values(), ids=FENCED)
def test_fences(text, specs):
    """A piece of Markdown is read for its code blocks."""
    assert read_paste(text) == specs


REFUSED = {
    "": "the paste is empty",
    " \u200b\n": "the paste is empty",
    "```\n\n```": "the paste is an empty code block",
    "x" * (LIMIT + 1): f"the paste is longer than {LIMIT} characters",
    "hello world": '"hello" begins nothing that is understood',
    "ghp_abcdefgh12345678": "a text that looks like a credential begins nothing that is understood",
    "# only a comment": "the paste holds no command",
    "A=1": "the paste sets variables and starts nothing",
    "npm install -g x": "this npm line starts no server",
    "cd x && npx y": "the line has '&&', which only a shell understands",
    "npx 'y": "the line has a quote or a backslash that is never closed",
    "ftp://h.example/x": "the paste has an address that is not an http:// or https:// URL",
    "curl -H 'X: y'": "a curl line without a URL",
    "curl -H nonsense https://h.example": "a header without a name",
    "claude mcp list": "an mcp line that adds no server",
    "claude mcp add x": "an mcp add line without a name, or without a server",
    "claude mcp add x -e": "--env without its value",
    "claude mcp add x -e K -- y": "--env without NAME=VALUE",
    "claude mcp add-json x '{'": "the JSON in the line does not parse: line 1, column 2: a quoted key is missing before the end",
    "claude mcp add -t http x y": '"x" has an address that is not an http:// or https:// URL',
    "code --add-mcp": "the JSON in the line does not parse: line 1, column 1: a value is missing before the end",
    '{"a": {"command": "x"}': 'the JSON does not parse: line 1, column 23: "," or "}" is missing before the end',
    "{}": "the JSON holds no server entry",
    '{"a": 1}': '"a" has neither a command nor a URL',
    '{"a": {"command": "x", "args": "y"}}': '"a": "args" is not a list',
    '{"a": {"command": "x", "args": [[]]}}': '"a": "args" holds something that is no text',
    '{"a": {"command": "x", "env": []}}': '"a": "env" is not an object',
    '{"a": {"command": "npx \'y"}}': '"a": "command" has a quote that is never closed',
    '{"a": {"url": "h.example/mcp"}}': '"a" has an address that is not an http:// or https:// URL',
    '{"a": {"type": "ws", "url": "https://h"}}': "\"a\" has the type 'ws', which is not spoken here",
    '{"a": {"type": "stdio", "url": "https://h"}}': '"a" is of type stdio and has no command',
    '{"a": {"type": "http", "command": "x"}}': '"a" is of type http and has no URL',
}


@pytest.mark.parametrize(
    ("text", "sentence"), REFUSED.items(), ids=map(repr, map("{:.30}".format, REFUSED))
)
def test_an_error_says_what_was_seen_and_what_to_do(text, sentence):
    """One sentence, and a next step."""
    with pytest.raises(PasteError) as caught:
        read_paste(text)
    assert caught.value.sentence == str(caught.value) == sentence
    assert caught.value.next


def test_placeholders_stay_in_the_values_and_are_listed():
    """The caller can refuse a paste that still has holes, and say which."""
    (spec,) = read_paste("claude mcp add x --env KEY=YOUR_API_KEY -- npx -y x-mcp --token <TOKEN>")
    assert spec.env == {"KEY": "YOUR_API_KEY"}
    assert placeholders(spec) == ["argument 4 holds <TOKEN>", "env KEY holds YOUR_API_KEY"]
