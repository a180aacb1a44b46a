"""The frame around every command: flags, answers, errors, the ends of a process."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest

from meshctl.cli.fail import report, text
from meshctl.cli.flags import GLOBAL, take
from meshctl.cli.output import Output
from meshctl.render.columns import Column, Table
from meshd.wire.errors import EXIT_CODES, KINDS, Denied, MeshError, NotFound, Usage
from tests.meshctl.cli.process import environment, meshctl
from tests.meshctl.client.peer import Peer, answered, chunked


def flags(*words):
    return take(words, {})[0]


class Terminal(io.StringIO):
    """A stdout that a person reads."""

    def isatty(self):
        return True


def said(*words, out=None, environ=None):
    """An output with what was written to its two ends."""
    out, err = out or io.StringIO(), io.StringIO()
    return Output(flags(*words), environ or {}, out, err), out, err


@pytest.mark.parametrize(
    ("line", "rest", "set_"),
    [
        ("key list", "key list", {}),
        ("--json key list", "key list", {"json": True}),
        ("key --json list", "key list", {"json": True}),
        ("key list --json --quiet --yes", "key list", {"json": True, "quiet": True, "yes": True}),
        ("key list --org acme", "key list", {"org": "acme"}),
        ("--org=acme key list", "key list", {"org": "acme"}),
        (
            "key list --no-start --debug --no-color",
            "key list",
            {"no_start": True, "debug": True, "no_color": True},
        ),
        (
            "connect x --json -- prog --json --org a",
            "connect x -- prog --json --org a",
            {"json": True},
        ),
        ("--version", "", {"version": True}),
        ("key list --jsonish", "key list --jsonish", {}),
    ],
)
def test_flags_stand_anywhere(line, rest, set_):
    """Before, between and behind the words of a command; nothing behind `--` is ours."""
    found, words = take(line.split(), {})
    assert words == rest.split()
    assert {name: getattr(found, name) for name in found.__slots__ if getattr(found, name)} == set_


@pytest.mark.parametrize("line", ["key list --org", "--org --json key list", "--org= key list"])
def test_org_needs_a_name(line):
    """The next flag is no org."""
    with pytest.raises(Usage, match="--org needs a name"):
        take(line.split(), {})


def test_a_flag_beats_its_variable():
    """MESHCTL_ORG and NO_COLOR do the same as their flags, where those are not given."""
    environ = {"MESHCTL_ORG": "env", "NO_COLOR": "1"}
    assert (take([], environ)[0].org, take([], environ)[0].no_color) == ("env", True)
    assert take(["--org", "flag"], environ)[0].org == "flag"
    assert take([], {"MESHCTL_ORG": ""})[0].org is None


def test_every_flag_is_taken():
    """The table that the help shows is the one that is obeyed."""
    for word, value, _, _ in GLOBAL:
        found, rest = take([word, *(["x"] if value else [])], {})
        assert rest == []
        assert getattr(found, word[2:].replace("-", "_"))


TABLE = Table(
    (Column("NAME", lambda item: item["name"]), Column("N", lambda item: item["n"], "right"))
)
ITEMS = [{"id": "a1", "name": "ada", "n": "1"}, {"id": "b2", "name": "bo\x1b", "n": "22"}]


def test_rows_as_text():
    """Aligned, and foreign escapes are shown, not obeyed."""
    out, stdout, stderr = said()
    out.rows(TABLE, ITEMS, empty="none")
    assert stdout.getvalue() == "NAME     N\nada      1\nbo\\x1b  22\n"
    assert stderr.getvalue() == ""


def test_rows_as_json_and_as_ids():
    """JSON is the list as it came, on one line; quiet is an id a line."""
    out, stdout, _ = said("--json")
    out.rows(TABLE, ITEMS, empty="none")
    assert json.loads(stdout.getvalue()) == ITEMS
    assert stdout.getvalue().count("\n") == 1
    out, stdout, _ = said("--quiet")
    out.rows(TABLE, ITEMS, empty="none")
    assert stdout.getvalue() == "a1\nb2\n"


@pytest.mark.parametrize(
    ("words", "stdout", "stderr"),
    [
        ((), "", "no keys yet\nnext: meshctl add-key NAME\n"),
        (("--json",), "[]\n", ""),
        (("--quiet",), "", ""),
    ],
)
def test_an_empty_list_is_no_error(words, stdout, stderr):
    """A sentence and a next step beside stdout; an empty array for programs."""
    out, got, beside = said(*words)
    out.rows(TABLE, [], empty="no keys yet", next="meshctl add-key NAME")
    assert (got.getvalue(), beside.getvalue()) == (stdout, stderr)


def test_json_on_a_terminal_is_indented():
    """A person reads it; what is piped stays on one line."""
    out, stdout, _ = said("--json", out=Terminal())
    out.json({"a": ["ü"]})
    assert stdout.getvalue() == '{\n  "a": [\n    "ü"\n  ]\n}\n'


def test_a_terminal_gets_columns_too(monkeypatch):
    """The same cells; without colour where none is wanted."""
    out, stdout, _ = said("--no-color", out=Terminal())
    out.rows(TABLE, ITEMS, empty="none")
    assert [line.split() for line in stdout.getvalue().splitlines()] == [
        ["NAME", "N"], ["ada", "1"], ["bo\\x1b", "22"],
    ]  # fmt: skip
    assert "\x1b" not in stdout.getvalue()


def test_one_thing():
    """Cards and changes have the same three forms."""
    for words, card, done in [
        ((), "name  ada\n", "removed ada\n"),
        (("--json",), '{"id":"a1"}\n', '{"id":"a1"}\n'),
        (("--quiet",), "a1\n", "a1\n"),
    ]:
        out, stdout, _ = said(*words)
        out.card({"id": "a1"}, [("name", "ada")])
        assert stdout.getvalue() == card
        out, stdout, _ = said(*words)
        out.done({"id": "a1"}, "removed ada")
        assert stdout.getvalue() == done


def test_stream_lines():
    """Text, a JSON object a line, or an id, also on a terminal."""
    for words, line in [((), "text\n"), (("--json",), '{"id":"a1"}\n'), (("--quiet",), "a1\n")]:
        out, stdout, _ = said(*words, out=Terminal())
        out.stream_line({"id": "a1"}, "text")
        assert stdout.getvalue() == line


ERROR = NotFound('No key "x\x1b[2J"', facts={"did you mean": "ci\n"}, next="meshctl key list")


def test_an_error_as_text():
    """Sentence, facts, next step; a foreign escape is shown."""
    assert text(ERROR) == (
        'error: no key "x\\x1b[2J"\n  did you mean: ci\\n\nnext: meshctl key list\n'
    )
    assert text(MeshError("MCP is a name")) == "error: MCP is a name\n"
    assert text(MeshError("")) == "error: something failed\n"


def test_an_error_as_json():
    """The body of the API, on one line."""
    err = io.StringIO()
    assert report(ERROR, flags("--json"), err) == 5
    assert json.loads(err.getvalue()) == ERROR.body()
    assert err.getvalue().count("\n") == 1


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_has_a_documented_exit_code(kind):
    """One table for all of them."""
    assert report(kind(), None, io.StringIO()) == kind.exit_code
    assert kind.exit_code in EXIT_CODES


def test_a_traceback_only_on_request():
    """A fault of ours is one sentence; --debug tells where."""
    for words, shown in [((), False), (("--debug",), True)]:
        err = io.StringIO()
        with pytest.raises(ZeroDivisionError) as raised:
            _ = 1 / 0
        assert report(raised.value, flags(*words), err) == 1
        assert ("Traceback" in err.getvalue()) is shown
        assert "ZeroDivisionError: division by zero" in err.getvalue()
        assert "next: " in err.getvalue()


def test_a_file_that_fails_is_named():
    """An error of the system says which file."""
    err = io.StringIO()
    report(PermissionError(13, "Permission denied", "/etc/x"), None, err)
    assert err.getvalue() == "error: permission denied /etc/x\n"


@pytest.mark.parametrize(
    ("argv", "code", "error"),
    [
        (
            ("statsu",),
            2,
            'error: no command "statsu"\n  did you mean: status\nnext: meshctl --help\n',
        ),
        (("--colour",), 2, 'error: no option "--colour"\nnext: meshctl --help\n'),
        (("key", "lsit"), 2, None),
        (("key", "show"), 2, "error: missing argument 'KEY'\nnext: meshctl key show --help\n"),
        (("daemon", "start", "--port", "x"), 2, None),
        (("key", "list", "--nope"), 2, None),
        (("key", "list", "--org"), 2, "error: --org needs a name\nnext: meshctl help flags\n"),
        (("help", "nothing"), 5, 'error: no topic "nothing"\nnext: meshctl help\n'),
        (("completion", "powershell"), 2, None),
    ],
)
def test_wrong_use(home, argv, code, error):
    """Exit code 2, one lower-case sentence, a next step; nothing on stdout."""
    ran = meshctl(*argv, home=home)
    assert (ran.code, ran.out) == (code, "")
    assert error is None or ran.err == error
    assert ran.err.startswith("error: ")
    assert ran.err.splitlines()[-1].startswith("next: meshctl ")


def test_wrong_use_as_json(home):
    """Programs get the same body from this side of the socket."""
    ran = meshctl("statsu", "--json", home=home)
    assert json.loads(ran.err)["error"]["code"] == "usage"


def test_no_daemon_and_none_to_be_started(home):
    """--no-start: exit code 3 with the command that starts one, and no folder made."""
    ran = meshctl("key", "list", "--no-start", home=home)
    assert ran.code == 3
    assert ran.err.endswith("next: meshctl daemon start\n")
    assert list(home.root.iterdir()) == []


@pytest.mark.parametrize(
    "argv", [(), ("--help",), ("-h",), ("key",), ("key", "--help"), ("help",)], ids=" ".join
)
def test_help_is_an_answer(home, argv):
    """On stdout, with exit code 0."""
    ran = meshctl(*argv, home=home)
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.out.splitlines()) > 5


def test_short_verbs_say_what_they_are(home):
    """And hidden aliases work without being listed."""
    assert "Same as: meshctl key add" in meshctl("add-key", "--help", home=home).out
    listed = meshctl("key", "--help", home=home).out
    assert "list" in listed
    assert " ls " not in listed
    assert meshctl("key", "ls", "--help", home=home).out.startswith("Usage: meshctl key ls")


def test_a_reader_that_has_enough(home):
    """A closed stdout is success, and nobody is told about it."""
    read, write = os.pipe()
    os.close(read)
    for argv in (["--help"], ["version"], ["help", "exit-codes"], ["key", "--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "meshctl", *argv],
            stdout=write,
            stderr=subprocess.PIPE,
            env=environment(home),
        )
        assert (done.returncode, done.stderr) == (0, b"")
    os.close(write)


def test_ctrl_c_ends_a_tail(home):
    """Exit code 130, without a traceback."""
    line = {"id": "e", "type": "t", "source": "s", "time": "2026-11-23T14:02:11Z", "meshseq": 1}
    stopped = []
    peer = Peer(
        home,
        lambda request: (
            request.target
            and chunked(json.dumps(line).encode() + b"\n", lambda: stopped.append(request.gone()))
        ),
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "meshctl", "tail-events", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home),
    )
    with process:
        assert process.stdout.readline() == b"e\n"
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=90)
        finally:
            process.kill()
            peer.close()
    assert (process.returncode, out, err) == (130, b"", b"")
    assert stopped == [True]


def test_an_error_of_the_daemon_ends_a_command(home):
    """Its kind is the exit code; its words are the daemon's."""
    body = json.dumps(Denied("not you", next="meshctl whoami").body()).encode()
    peer = Peer(home, lambda request: request.target and answered(body, 403))
    ran = meshctl("key", "list", home=home)
    peer.close()
    assert ran == (4, "", "error: not you\nnext: meshctl whoami\n")


def test_another_version_is_said_once(home):
    """On stderr, beside the answer."""
    peer = Peer(home, lambda request: request.target and answered(b"[]", Meshctl_Version="9.9.9"))
    ran = meshctl("key", "list", "--json", home=home)
    peer.close()
    assert (ran.code, ran.out) == (0, "[]\n")
    assert ran.err.count("9.9.9") == 1
