"""Questions to a person, and values that stand elsewhere than on the command line."""

import io
import sys
from types import SimpleNamespace

import pytest

from meshctl.cli.ask import VALUE_BYTES, confirm, resolve_value, secret
from meshd.wire.errors import MeshError, NotFound, Usage


@pytest.fixture
def me():
    """A context whose notes are kept."""
    notes = []
    return SimpleNamespace(
        flags=SimpleNamespace(yes=False),
        out=SimpleNamespace(note=notes.append),
        environ={"TOKEN": "from the environment", "EMPTY": ""},
        notes=notes,
    )


@pytest.fixture
def person(monkeypatch):
    """Somebody at a terminal, who types this."""

    def types(text, *, terminal=True):
        stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
        stderr = io.StringIO()
        stdin.isatty = stderr.isatty = lambda: terminal
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stderr", stderr)
        return stderr

    return types


@pytest.mark.parametrize("typed", ["y\n", "Yes\n"])
def test_agreed(me, person, typed):
    """The question goes to stderr, so that stdout stays the answer."""
    asked = person(typed)
    confirm(me, "remove x?")
    assert asked.getvalue() == "remove x? [y/N] "


@pytest.mark.parametrize("typed", ["n\n", "\n", "", "yep\n"])
def test_not_agreed(me, person, typed):
    """Anything but a clear yes is a no."""
    person(typed)
    with pytest.raises(MeshError, match="nothing was done"):
        confirm(me, "remove x?")


def test_nobody_to_ask(me, person):
    """A script must say --yes; then nobody is asked."""
    asked = person("y\n", terminal=False)
    with pytest.raises(Usage, match="nothing was done"):
        confirm(me, "remove x?")
    me.flags.yes = True
    confirm(me, "remove x?")
    assert asked.getvalue() == ""


def test_a_secret_needs_a_terminal(person):
    """It is not read from a pipe by accident."""
    person("s3cret\n", terminal=False)
    with pytest.raises(Usage, match="no terminal"):
        secret("token")


def test_values(me, person, tmp_path):
    """A file, stdin, a variable, or the text itself; one line end is not part of it."""
    file = tmp_path / "token"
    file.write_bytes(b"from a file\r\n")
    person("from stdin\n")
    assert resolve_value(me, f"@{file}") == "from a file"
    assert resolve_value(me, "@-") == "from stdin"
    assert resolve_value(me, "env:TOKEN") == "from the environment"
    assert resolve_value(me, "plain") == "plain"
    assert me.notes == []


@pytest.mark.parametrize(
    ("text", "name"),
    [("ghp_0123456789abcdef0123456789abcdef0123", ""), ("hunter2hunter", "API_TOKEN")],
)
def test_a_secret_on_the_command_line_is_warned_about(me, text, name):
    """It works; the warning does not repeat it."""
    assert resolve_value(me, text, name=name) == text
    (note,) = me.notes
    assert "looks secret" in note
    assert text not in note


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("@/no/such/file", NotFound),
        ("@/", Usage),
        ("env:NOTHING", NotFound),
        ("env:EMPTY", NotFound),
        ("secret://x", Usage),
    ],
)
def test_values_that_cannot_be_had(me, text, kind):
    """Each refusal is of its kind."""
    with pytest.raises(kind):
        resolve_value(me, text)


def test_files_have_a_limit_and_are_text(me, tmp_path):
    """A device or a picture is no value."""
    big, picture = tmp_path / "big", tmp_path / "picture"
    big.write_bytes(b"x" * (VALUE_BYTES + 1))
    picture.write_bytes(b"\xff\xd8")
    with pytest.raises(Usage, match="more than"):
        resolve_value(me, f"@{big}")
    with pytest.raises(Usage, match="not UTF-8"):
        resolve_value(me, f"@{picture}")
