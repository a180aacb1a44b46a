"""`meshctl vault …` against a scripted daemon: where the key comes from, what is said."""

import json

import pytest

from meshd.wire.errors import Locked

OPEN = {
    "state": "open",
    "by_hand": False,
    "source": {"name": "file", "place": "/k", "passed_over": []},
    "key_id": "0a1b2c3d4e5f6071",
    "needed": "0a1b2c3d4e5f6071",
    "format": "f",
    "orgs": [],
    "problems": [{"message": "something is up", "next": "meshctl help vault"}],
}
FAILED = {
    "counts": [{"org": "o", "name": "default", "table": "credentials", "opened": 1, "failed": 1}],
    "failures": [
        {"org": "o", "table": "credentials", "row": "conn_1", "field": "header:X", "reason": "No."}
    ],
}


def keys(scripted):
    """The keys that the daemon was given."""
    return [asked.key for name, asked in scripted.asked if name == "vault.unlock"]


@pytest.mark.parametrize(
    ("argv", "stdin", "given"),
    [
        ((), "", None),
        (("--from-stdin",), "typed\n", "typed"),
        (("env:GIVEN",), "", "of env"),
        (("@-",), "typed\r\n", "typed"),
    ],
)
def test_where_a_key_comes_from(scripted, argv, stdin, given):
    """Without one the daemon asks its own source."""
    scripted.answers["vault.unlock"] = OPEN
    scripted.environ["GIVEN"] = "of env"
    code, out, err = scripted.run("vault", "unlock", *argv, stdin=stdin)
    assert (code, out) == (0, "the vault is open  master key 0a1b2c3d4e5f6071\n"), err
    assert keys(scripted) == [given]
    assert "typed" not in out + err


def test_a_file_holds_a_key(scripted, tmp_path):
    scripted.answers["vault.unlock"] = OPEN
    (tmp_path / "key").write_text("kept\n")
    assert scripted.run("vault", "unlock", f"@{tmp_path / 'key'}", "--quiet")[0] == 0
    assert keys(scripted) == ["kept"]


@pytest.mark.parametrize("argv", [("literal",), ("@-", "--from-stdin")])
def test_what_is_wrong_use(scripted, argv):
    """A key on a command line is seen by everybody on the machine; nothing is asked."""
    code, _, err = scripted.run("vault", "unlock", *argv)
    assert (code, scripted.asked) == (2, [])
    assert "literal" not in err


def test_a_terminal_asks_when_the_source_has_none(scripted, monkeypatch):
    """Unseen, and only then."""
    scripted.answers["vault.unlock"] = lambda asked: (
        OPEN if asked.key == "typed unseen" else Locked("still locked")
    )
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: "typed unseen")
    code, _, err = scripted.run("vault", "unlock", terminal=True)
    assert (code, keys(scripted)) == (0, [None, "typed unseen"]), err
    assert "still locked" in err
    code, _, err = scripted.run("vault", "unlock")
    assert (code, keys(scripted)[2:]) == (8, [None])


def test_verify_exits_with_what_it_found(scripted):
    """1 when anything does not open, in every form of output."""
    scripted.answers["vault.verify"] = FAILED
    code, out, _ = scripted.run("vault", "verify")
    assert (code, "conn_1" in out, "No." in out) == (1, True, True)
    assert scripted.run("vault", "verify", "--quiet")[:2] == (1, "conn_1\n")
    code, out, _ = scripted.run("vault", "verify", "--json")
    assert (code, json.loads(out)) == (1, FAILED)
    scripted.answers["vault.verify"] = {**FAILED, "failures": []}
    assert scripted.run("vault", "verify")[0] == 0


def test_status_says_what_to_do(scripted):
    scripted.answers["vault.status"] = OPEN
    code, out, err = scripted.run("vault", "status")
    assert (code, "file (/k)" in out) == (0, True)
    assert err == "something is up\nnext: meshctl help vault\n"
    assert scripted.run("vault", "status", "--quiet")[1] == "open\n"
