"""`meshctl connect` and `meshctl connection …`: what is asked for each form of a command line."""

import json

import pytest
from msgspec import UNSET

from meshd.wire.connection import (
    ConnectionAdd,
    ConnectionAddStdio,
    ConnectionEdit,
    ConnectionEditStdio,
    ConnectionRef,
)
from meshd.wire.errors import NotFound, UpstreamFailed

GITHUB = {
    "id": "conn_8fk2m4p6q8r0s2t4",
    "name": "github",
    "transport": "http",
    "url": "https://api.example.com/mcp",
    "headers": ["Authorization"],
    "env": [],
    "bodies": "redacted",
    "state": "ready",
    "reason": None,
    "tools": 38,
    "tokens": 5240,
    "destructive": 3,
    "seen_at": "2026-11-23T14:58:00Z",
    "created_at": "2026-11-11T09:30:00Z",
}
CLOCK = {
    **{name: value for name, value in GITHUB.items() if name != "url"},
    "name": "clock",
    "transport": "stdio",
    "command": ["sh", "-c", "serve"],
    "headers": [],
}
URL = "https://api.example.com/mcp"


def test_connect_shows_its_value_at_once(scripted):
    """What was reached, tools, tokens and destructive ones; then where to go from here."""
    scripted.answers["connection.add"] = GITHUB
    code, out, err = scripted.run("connect", "github", URL)
    assert code == 0
    assert out.splitlines() == [
        f"github  ● ready  {URL}",
        "  38 tools, ~5.2k tokens a prompt, 3 marked destructive",
    ]
    assert err.splitlines() == [
        "next: meshctl tool list github",
        "next: meshctl add-key NAME --allow github",
    ]


def test_connect_says_whose_rights_a_program_has(scripted):
    """A stdio server is code that runs as the daemon's user."""
    scripted.answers["connection.add_stdio"] = CLOCK
    _, _, err = scripted.run("connect", "clock", "--", "sh", "-c", "serve")
    assert "note: this server runs on your machine with the daemon's own user rights" in err


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"state": "failing", "reason": "no route"}, "next: meshctl connection test github"),
        (
            {"state": "needs_login", "reason": "401"},
            "next: meshctl connection edit github --header 'Authorization: Bearer …'",
        ),
    ],
)
def test_connect_to_a_server_that_does_not_answer_well(scripted, changes, step):
    """It is added; the reason stands below it, and the next step is the one that helps."""
    scripted.answers["connection.add"] = {**GITHUB, "tools": None, **changes}
    code, out, err = scripted.run("connect", "github", URL)
    assert (code, out.splitlines()[1], err.splitlines()) == (0, f"  {changes['reason']}", [step])


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        (["github", URL], ConnectionAdd(name="github", url=URL)),
        (
            ["github", URL, "--transport", "http", "--bodies", "off"],
            ConnectionAdd(name="github", url=URL, bodies="off"),
        ),
        (
            ["github", URL, "--header", "X-A: one: two", "--header=X-B:env:TOKEN"],
            ConnectionAdd(name="github", url=URL, headers={"X-A": "one: two", "X-B": "hidden"}),
        ),
    ],
)
def test_what_a_url_asks(scripted, words, asks):
    """Headers are split at the first colon, and their references resolved here."""
    scripted.environ["TOKEN"] = "hidden"
    scripted.answers["connection.add"] = GITHUB
    assert scripted.run("connect", *words)[0] == 0
    assert scripted.asked == [("connection.add", asks)]


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        (
            ["clock", "--", "sh", "-c", "--json", "a b"],
            ConnectionAddStdio(name="clock", command=["sh", "-c", "--json", "a b"]),
        ),
        (["clock", "sh"], ConnectionAddStdio(name="clock", command=["sh"])),
        (
            ["clock", "--env", "A==b", "--env", "B=env:TOKEN", "--cwd", "/srv", "--", "sh", "x"],
            ConnectionAddStdio(
                name="clock", command=["sh", "x"], env={"A": "=b", "B": "hidden"}, cwd="/srv"
            ),
        ),
    ],
)
def test_what_a_program_asks(scripted, words, asks):
    """Everything after -- is the program's, flags of ours included."""
    scripted.environ["TOKEN"] = "hidden"
    scripted.answers["connection.add_stdio"] = CLOCK
    assert scripted.run("connection", "add", *words)[0] == 0
    assert scripted.asked == [("connection.add_stdio", asks)]


@pytest.mark.parametrize("transport", ["http", "sse"])
def test_a_transport_over_http_may_be_named(scripted, transport):
    """It changes nothing: the daemon finds out which one it is."""
    scripted.answers["connection.add"] = GITHUB
    assert scripted.run("connect", "github", URL, "--transport", transport)[0] == 0
    assert [type(asks).__name__ for _, asks in scripted.asked] == ["ConnectionAdd"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["github"], 'what should "github" connect to?'),
        (["github", URL, "--transport", "stdio"], "does not fit"),
        (["github", URL, "--transport", "carrier-pigeon"], "does not fit"),
        (["github", URL, "--env", "A=b"], "after a URL only"),
        (["github", URL, "more"], "after a URL only"),
        (["github", "--header", "A: b", "--", "sh"], "--header belongs to a URL"),
        (["github", URL, "--header", "no colon"], "--header takes"),
        (["clock", "--env", "novalue", "--", "sh"], "--env takes"),
        (["github", "api.example.invalid/mcp"], "is neither a URL nor a program"),
        (["github", URL, "--bodies", "some"], "some"),
    ],
)
def test_a_command_line_that_means_no_server(scripted, words, sentence):
    """Wrong use is told before the daemon is asked."""
    code, out, err = scripted.run("connect", *words)
    assert (code, out, scripted.asked) == (2, "", [])
    assert sentence in err


def test_a_literal_secret_draws_a_warning(scripted):
    """It works, and the warning names the header, never the value."""
    scripted.answers["connection.add"] = GITHUB
    code, _, err = scripted.run(
        "connect", "github", URL, "--header", "Authorization: Bearer hunter2"
    )
    assert code == 0
    assert "warning: the value of Authorization looks secret" in err
    assert "hunter2" not in err


def test_connect_as_json(scripted):
    """Exactly the wire type on stdout."""
    scripted.answers["connection.add"] = GITHUB
    code, out, _ = scripted.run("connect", "github", URL, "--json")
    assert (code, json.loads(out)) == (0, GITHUB)


@pytest.mark.parametrize(
    ("words", "row", "asks"),
    [
        (["--name", "gh"], "connection.edit", ConnectionEdit(connection="github", name="gh")),
        (
            ["--bodies", "full"],
            "connection.edit",
            ConnectionEdit(connection="github", bodies="full"),
        ),
        (
            ["--url", URL, "--header", "A: b", "--remove-header", "C"],
            "connection.edit",
            ConnectionEdit(connection="github", url=URL, headers={"A": "b", "C": None}),
        ),
        (
            ["--env", "A=b", "--remove-env", "C", "--name", "gh", "--bodies", "off"],
            "connection.edit_stdio",
            ConnectionEditStdio(
                connection="github", env={"A": "b", "C": None}, name="gh", bodies="off"
            ),
        ),
        (
            ["--cwd", "/srv", "--", "sh", "--url", "x"],
            "connection.edit_stdio",
            ConnectionEditStdio(connection="github", command=["sh", "--url", "x"], cwd="/srv"),
        ),
        (
            ["--idle", "never"],
            "connection.edit_stdio",
            ConnectionEditStdio(connection="github", idle="never"),
        ),
        (
            ["--cwd", ""],
            "connection.edit_stdio",
            ConnectionEditStdio(connection="github", command=UNSET, cwd=None),
        ),
    ],
)
def test_what_edit_asks(scripted, words, row, asks):
    """What touches the program is a call of its own, with a right of its own."""
    scripted.answers[row] = {"connection": GITHUB, "dropped": []}
    assert scripted.run("connection", "edit", "github", *words)[0] == 0
    assert scripted.asked == [(row, asks)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing to change"),
        (["--url", URL, "--env", "A=b"], "not both"),
        (["--header", "A: b", "--", "sh"], "not both"),
    ],
)
def test_an_edit_that_means_nothing(scripted, words, sentence):
    """It is refused before the daemon is asked."""
    code, _, err = scripted.run("connection", "edit", "github", *words)
    assert (code, scripted.asked) == (2, [])
    assert sentence in err


def test_an_edit_that_costs_credentials_says_so(scripted):
    """What another origin must not see is dropped, named, and the next step gives it again."""
    scripted.answers["connection.edit"] = {"connection": GITHUB, "dropped": ["Authorization"]}
    _, _, err = scripted.run("connection", "edit", "github", "--url", "https://other.example/mcp")
    assert err.splitlines() == [
        "dropped, since they belong to another origin: Authorization",
        "next: meshctl connection edit github --header 'K: V'",
    ]


def test_remove_asks_first(scripted):
    """Without a terminal and without --yes: exit 2, nothing done."""
    scripted.answers["connection.remove"] = {"id": GITHUB["id"], "name": "github"}
    assert scripted.run("connection", "remove", "github")[0] == 2
    assert scripted.asked == []
    code, out, _ = scripted.run("connection", "rm", "github", "--yes")
    assert (code, out) == (0, 'removed connection "github"\n')
    assert scripted.asked == [("connection.remove", ConnectionRef("github"))]


@pytest.mark.parametrize("verb", ["enable", "disable", "show"])
def test_verbs_that_answer_with_the_connection(scripted, verb):
    """A card, the wire type, or the id."""
    scripted.answers[f"connection.{verb}"] = GITHUB
    code, out, _ = scripted.run("connection", verb, "github")
    assert code == 0
    assert "name     github" in out.splitlines()
    assert json.loads(scripted.run("connection", verb, "github", "--json")[1]) == GITHUB
    assert scripted.run("connection", verb, "github", "--quiet")[1] == f"{GITHUB['id']}\n"
    assert [asked for _, asked in scripted.asked] == [ConnectionRef("github")] * 3


def test_connection_test(scripted):
    """The round trip's time and who answered; a server that does not answer is exit 7."""
    tested = {"connection": GITHUB, "duration_ms": 41.2, "server": "GitHub", "protocol": None}
    scripted.answers["connection.test"] = tested
    code, out, _ = scripted.run("connection", "test", "github")
    assert (code, out.splitlines()[-1]) == (0, "  answered in 41ms, GitHub")
    assert json.loads(scripted.run("connection", "test", "github", "--json")[1]) == tested
    assert scripted.run("connection", "test", "github", "--quiet")[1] == f"{GITHUB['id']}\n"
    scripted.answers["connection.test"] = UpstreamFailed("no answer")
    assert scripted.run("connection", "test", "github")[0] == 7


def test_list(scripted):
    """A table of what there is, or a sentence and the way to the first one."""
    scripted.answers["connection.list"] = [GITHUB, CLOCK]
    code, out, _ = scripted.run("connection", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "github", "clock"]
    scripted.answers["connection.list"] = []
    assert scripted.run("connection", "list") == (
        0,
        "",
        "no connections yet\nnext: meshctl connect NAME URL\n",
    )


def test_an_unknown_name(scripted):
    """The daemon's facts are shown, indented; exit 5."""
    scripted.answers["connection.show"] = NotFound(
        'no connection "slak"', facts={"did you mean": "slack"}, next="meshctl connection list"
    )
    assert scripted.run("connection", "show", "slak") == (
        5,
        "",
        'error: no connection "slak"\n  did you mean: slack\nnext: meshctl connection list\n',
    )
