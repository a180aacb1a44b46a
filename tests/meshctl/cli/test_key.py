"""`meshctl key …`: what is asked for each option, and where the secret goes."""

import json

import pytest
from msgspec import UNSET

from meshd.wire.errors import Conflict
from meshd.wire.key import KeyAdd, KeyEdit, KeyRef

KEY = {
    "id": "key_3m9x3m9x3m9x3m9x",
    "name": "ci",
    "prefix": "mesh_ab12",
    "last_four": "9x2k",
    "permissions": {"conn_8fk2m4p6q8r0s2t4": ["*"]},
    "grants": ["github"],
    "role": None,
    "read_only": False,
    "owner": "owner",
    "created_at": "2026-11-23T14:58:00Z",
    "last_used_at": None,
    "expires_at": None,
}
ADDED = {**KEY, "key": "mesh_ab12thesecret9x2k"}
STATUS = {
    "daemon": {"state": "running", "version": "0.1.0", "pid": 1, "uptime_s": 1.0, "socket": "/s"},
    "url": "http://127.0.0.1:3000",
    "org": {"id": "org_0a1b2c3d4e5f6g7h", "name": "default"},
    "connections": {},
    "calls_today": 0,
}


def test_add_key_gives_the_secret_alone(scripted):
    """The secret and a line end are stdout and a line end; what the key may do and where it goes is on stderr."""
    scripted.answers |= {"key.add": ADDED, "status": STATUS}
    code, out, err = scripted.run("add-key", "ci", "--allow", "github")
    assert (code, out) == (0, "mesh_ab12thesecret9x2k\n")
    assert err.splitlines() == [
        'key "ci": allows github, never expires  key_3m9x3m9x3m9x3m9x',
        "shown once: the secret went to stdout",
        (
            "next: point the client at http://127.0.0.1:3000/mcp/github"
            ' with header "Authorization: Bearer SECRET"'
        ),
    ]


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        ([], KeyAdd(name="ci", allow=UNSET)),
        (
            ["--allow", "a/t*", "--allow=self/key.list", "--role", "user"],
            KeyAdd(name="ci", allow=["a/t*", "self/key.list"], role="user"),
        ),
        (["--expires", "90d", "--read-only"], KeyAdd(name="ci", expires="90d", read_only=True)),
    ],
)
def test_what_add_asks(scripted, options, asks):
    """Each option is one field; no --allow at all is not an empty one."""
    scripted.answers |= {"key.add": ADDED, "status": STATUS}
    assert scripted.run("key", "add", "ci", *options)[0] == 0
    assert scripted.asked[0] == ("key.add", asks)


@pytest.mark.parametrize("words", [["add", "ci"], ["rotate", "ci"]])
def test_json_is_the_whole_answer(scripted, words):
    """With --json the secret is a field of the answer, and nothing else is asked or said."""
    scripted.answers |= {"key.add": ADDED, "key.rotate": ADDED}
    code, out, err = scripted.run("key", *words, "--json")
    assert (code, json.loads(out), err) == (0, ADDED, "")


def test_a_key_for_several_connections_names_none(scripted):
    """The next step has a place for the connection's name where more than one is allowed."""
    scripted.answers |= {"key.rotate": {**ADDED, "grants": ["*"]}, "status": STATUS}
    _, out, err = scripted.run("key", "rotate", "ci")
    assert out == "mesh_ab12thesecret9x2k\n"
    assert "http://127.0.0.1:3000/mcp/CONNECTION with" in err


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        (["--name", "cd"], KeyEdit(key="ci", name="cd")),
        (
            ["--allow", "a", "--revoke", "b", "--revoke", "c/*"],
            KeyEdit(key="ci", allow=["a"], revoke=["b", "c/*"]),
        ),
        (["--role", "user"], KeyEdit(key="ci", role="user")),
        (["--no-role"], KeyEdit(key="ci", role=None)),
        (["--read-only"], KeyEdit(key="ci", read_only=True)),
        (["--no-read-only"], KeyEdit(key="ci", read_only=False)),
        (["--expires", "30d"], KeyEdit(key="ci", expires="30d")),
        (["--expires", "never"], KeyEdit(key="ci", expires=None)),
    ],
)
def test_what_edit_asks(scripted, options, asks):
    """Only what was typed is sent; taking something away is not the same as being silent."""
    scripted.answers["key.edit"] = KEY
    assert scripted.run("key", "edit", "ci", *options)[0] == 0
    assert scripted.asked == [("key.edit", asks)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [([], "nothing to change"), (["--role", "a", "--no-role"], "exclude each other")],
)
def test_an_edit_that_means_nothing(scripted, options, sentence):
    """It is refused before the daemon is asked."""
    code, out, err = scripted.run("key", "edit", "ci", *options)
    assert (code, out, scripted.asked) == (2, "", [])
    assert sentence in err


def test_revoke_asks_first(scripted):
    """Without a terminal and without --yes nothing is done; a no is a no; --yes does it."""
    scripted.answers["key.revoke"] = {"id": KEY["id"], "name": "ci"}
    assert scripted.run("key", "revoke", "ci")[0] == 2
    assert scripted.run("key", "revoke", "ci", terminal=True, stdin="n\n")[0] == 1
    assert scripted.asked == []
    assert scripted.run("key", "revoke", "ci", terminal=True, stdin="y\n")[0] == 0
    code, out, _ = scripted.run("key", "revoke", "ci", "--yes")
    assert (code, out) == (0, 'revoked key "ci"\n')
    assert scripted.asked == [("key.revoke", KeyRef("ci"))] * 2


def test_list_as_table_ids_and_json(scripted):
    """The three forms of a list."""
    scripted.answers["key.list"] = [KEY]
    assert scripted.run("key", "list")[1].splitlines()[0].split()[:3] == [
        "NAME",
        "SECRET",
        "ALLOWS",
    ]
    assert scripted.run("key", "ls", "--quiet") == (0, "key_3m9x3m9x3m9x3m9x\n", "")
    assert json.loads(scripted.run("key", "list", "--json")[1]) == [KEY]


def test_no_keys_is_no_error(scripted):
    """The sentence and the next step are on stderr, the exit code is 0, JSON is an empty array."""
    scripted.answers["key.list"] = []
    assert scripted.run("key", "list") == (0, "", "no keys yet\nnext: meshctl add-key NAME\n")
    assert scripted.run("key", "list", "--json") == (0, "[]\n", "")


def test_show(scripted):
    """A card, or exactly the daemon's answer."""
    scripted.answers["key.show"] = KEY
    code, out, _ = scripted.run("key", "show", "ci")
    assert code == 0
    assert "secret     mesh_ab12…9x2k" in out.splitlines()
    assert json.loads(scripted.run("key", "show", "ci", "--json")[1]) == KEY


def test_the_daemons_refusal_is_the_commands(scripted):
    """Sentence, next step and exit code come from the error that the daemon names."""
    scripted.answers["key.add"] = Conflict('key "ci" exists', next="meshctl key rotate ci")
    code, out, err = scripted.run("add-key", "ci")
    assert (code, out) == (6, "")
    assert err == 'error: key "ci" exists\nnext: meshctl key rotate ci\n'
