"""What may be configured of a connection, and what an edit makes of one."""

from pathlib import Path

import pytest
from msgspec import UNSET

from meshd.services.connection_edits import http_edit, stdio_edit
from meshd.services.connection_rules import (
    MAX_VALUE,
    MAX_VALUES,
    check_command,
    check_env,
    check_headers,
    host_of,
    introduction,
    origin,
)
from meshd.services.credentials import WHOLE, shown_url
from meshd.services.directory import ConnectionRow
from meshd.wire.connection import ConnectionEdit, ConnectionEditStdio
from meshd.wire.errors import BadRequest


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://mcp.example.com/mcp", "mcp.example.com"),
        ("http://127.0.0.1:8080", "127.0.0.1"),
        ("http://[::1]:8080/x?y=1", "::1"),
        ("https://ada:secret@EXAMPLE.com/", "example.com"),
    ],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://a/b", "file:///etc/passwd", "http://", "http:///x", "https://a:99999/", "http://a:0/",
        "http://a b/", "http://a/\n", "http://exämple.com/", "http://[::1", "http://a:x/", "javascript:alert(1)",
        "http://a/" + "x" * 5000, "http://a/#fragment", "HTTP//a",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_server(url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        host_of(url)
    assert url == "" or url not in refused.value.message


@pytest.mark.parametrize(
    ("url", "shown", "secret"),
    [
        ("https://a/b", "https://a/b", False),
        ("https://a:8/b?token=x", "https://a:8/b?…", True),
        ("https://ada:pw@a/b", "https://a/b", True),
        ("https://ada@a/", "https://a/", True),
        ("https://a/b?", "https://a/b", False),
        ("http://[::1]:9/x?a", "http://[::1]:9/x?…", True),
    ],
)
def test_what_of_a_url_may_be_shown(url: str, shown: str, secret: bool) -> None:
    assert shown_url(url) == (shown, secret)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a/x", "https://a/y", True), ("https://a/", "https://a:443/", True), ("http://A/", "http://a:80", True),
        ("https://a/", "http://a/", False), ("https://a/", "https://b/", False), ("https://a/", "https://a:444/", False),
    ],
)  # fmt: skip
def test_origins(one: str, other: str, same: bool) -> None:
    assert (origin(one) == origin(other)) == same


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer x"}, {"X-Api-Key": ""}, {"Cookie": "a=b"}, {"x!#$%&'*+.^_`|~-9": "v"},
     {f"X-{n}": "v" for n in range(MAX_VALUES)}, {"X": "v" * MAX_VALUE}],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_headers_that_may_be_sent(headers: dict[str, str]) -> None:
    check_headers(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"": "v"}, {"a b": "v"}, {"a:": "v"}, {"a\r\nb": "v"}, {"x" * 101: "v"}, {"X": "a\r\nHost: b"}, {"X": "a\0"},
        {"X": "ä"}, {"X": "v" * (MAX_VALUE + 1)}, {"X-A": "1", "x-a": "2"}, {f"X-{n}": "v" for n in range(MAX_VALUES + 1)},
        *({name: "v"} for name in ("Host", "content-length", "Transfer-Encoding", "Connection", "Mcp-Session-Id",
                                   "MCP-Protocol-Version", "Accept", "Accept-Encoding", "Content-Type", "Expect")),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_headers_that_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest) as refused:
        check_headers(headers)
    assert refused.value.message.isprintable()
    assert "v" * 50 not in refused.value.message


def test_commands(tmp_path: Path) -> None:
    check_command(["python", "-m", "x"], None)
    check_command(["x", ""], str(tmp_path))
    file = tmp_path / "file"
    file.touch()
    for command, cwd in (
        ([], None), ([""], None), (["a", "b\0"], None), (["x" * MAX_VALUE], None), (["x"] + [""] * MAX_VALUE, None),
        (["a", "secret://b"], None), (["a"], "relative"), (["a"], str(tmp_path / "none")), (["a"], str(file)),
        (["a"], ""),
    ):  # fmt: skip
        with pytest.raises(BadRequest):
            check_command(command, cwd)


def test_environments() -> None:
    check_env({"PATH": "/bin", "_a9": "", "TOKEN": "a\nb"})
    for env in (
        {"": "v"}, {"9A": "v"}, {"A-B": "v"}, {"A=B": "v"}, {"Ä": "v"}, {"MESHCTL_HOME": "v"}, {"A": "v\0"},
        {"A": "v" * (MAX_VALUE + 1)}, {"A" * 201: "v"}, {f"A{n}": "v" for n in range(MAX_VALUES + 1)},
    ):  # fmt: skip
        with pytest.raises(BadRequest):
            check_env(env)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            b'{"serverInfo":{"name":"x","version":"1"},"protocolVersion":"2025-11-25"}',
            ("x 1", "2025-11-25"),
        ),
        (b'{"serverInfo":{"name":"x"}}', ("x", None)),
        (b'{"protocolVersion":5}', ("?", None)),
        (b'{"serverInfo":"x"}', (None, None)),
        (b"[]", (None, None)),
        (b"{", (None, None)),
        (b'{"a":"\xff"}', (None, None)),
        (b'{"a":' + b"[" * 9999 + b"]" * 9999 + b"}", (None, None)),
        (b'{"serverInfo":{"name":"' + b"x" * 500 + b'"}}', ("x" * 100, None)),
    ],
    ids=lambda value: str(value)[:25],
)
def test_how_a_server_introduces_itself(raw: bytes, said: tuple[str | None, str | None]) -> None:
    assert introduction(raw) == said


def row(**more: object) -> ConnectionRow:
    sealed = more.pop("sealed", ())
    given = {
        "id": "conn_a", "org": "org_a", "name": "github", "transport": "http", "url": "https://a/mcp", "command": (),
        "cwd": None, "bodies": "redacted", "enabled": True, "created_at": 0, "revision": "r", "state": "ready",
        "reason": None, "seen_at": None,
    }  # fmt: skip
    return ConnectionRow(**{**given, **more}, sealed=tuple((k, n, b"") for k, n in sealed))  # type: ignore[misc]


KEPT = (("header", "Authorization"), ("header", "X-Team"))


@pytest.mark.parametrize(
    ("asked", "values", "dropped"),
    [
        ({}, {}, []),
        ({"name": "hub", "bodies": "off"}, {}, []),
        ({"url": "https://a/other"}, {}, []),
        ({"url": "https://a:443/x?k=1"}, {("url", WHOLE): "https://a:443/x?k=1"}, []),
        ({"headers": {"X-New": "v"}}, {("header", "X-New"): "v"}, []),
        ({"headers": {"authorization": "v"}}, {("header", "Authorization"): "v"}, []),
        ({"headers": {"X-TEAM": None}}, {("header", "X-Team"): None}, []),
        ({"url": "https://b/mcp"}, {("header", n): None for _, n in KEPT}, ["Authorization", "X-Team"]),
        ({"url": "http://a/mcp"}, {("header", n): None for _, n in KEPT}, ["Authorization", "X-Team"]),
        ({"url": "https://b/mcp", "headers": {"Authorization": "new"}},
         {("header", "Authorization"): "new", ("header", "X-Team"): None}, ["X-Team"]),
    ],
    ids=str,
)  # fmt: skip
def test_an_edit_of_an_http_connection(asked, values, dropped) -> None:
    """Another origin drops what was stored for the one before, and says so."""
    before = row(sealed=KEPT)
    edit = http_edit(before, ConnectionEdit(connection="github", **asked))
    assert dict(edit.values) == values
    assert edit.dropped == dropped
    assert edit.retargets(before) == (bool(values) or asked.get("url", before.url) != before.url)
    assert edit.after.name == asked.get("name", "github")


def test_a_url_without_secrets_takes_the_sealed_one_away() -> None:
    edit = http_edit(
        row(sealed=(("url", WHOLE),)), ConnectionEdit(connection="github", url="https://a/mcp")
    )
    assert dict(edit.values) == {("url", WHOLE): None}


def test_the_edit_of_a_stdio_connection() -> None:
    """Another program drops the environment; other arguments do not."""
    before = row(
        transport="stdio",
        url=None,
        command=("python", "a.py"),
        sealed=(("env", "TOKEN"), ("env", "B")),
    )
    for asked, values, dropped in (
        ({"command": ["python", "b.py"]}, {}, []),
        (
            {"command": ["node", "a.js"]},
            {("env", "TOKEN"): None, ("env", "B"): None},
            ["TOKEN", "B"],
        ),
        (
            {"command": ["node"], "env": {"TOKEN": "v"}},
            {("env", "B"): None, ("env", "TOKEN"): "v"},
            ["B"],
        ),
        ({"env": {"B": None, "C": "v"}}, {("env", "B"): None, ("env", "C"): "v"}, []),
        ({"cwd": None}, {}, []),
    ):
        edit = stdio_edit(before, ConnectionEditStdio(connection="github", **asked))
        assert (dict(edit.values), edit.dropped) == (values, dropped)
        assert list(edit.after.command) == asked.get("command", ["python", "a.py"])


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: http_edit(
            row(transport="stdio", command=("a",)), ConnectionEdit(connection="x", url="https://a")
        ),
        lambda: http_edit(
            row(transport="stdio", command=("a",)),
            ConnectionEdit(connection="x", headers={"A": "v"}),
        ),
        lambda: stdio_edit(row(), ConnectionEditStdio(connection="x")),
        lambda: stdio_edit(
            row(transport="stdio", command=("a",)), ConnectionEditStdio(connection="x", command=[])
        ),
        lambda: http_edit(row(), ConnectionEdit(connection="x", name="self")),
        lambda: http_edit(row(), ConnectionEdit(connection="x", headers={"Host": None})),
        lambda: http_edit(
            row(sealed=tuple(("header", f"X-{n}") for n in range(MAX_VALUES))),
            ConnectionEdit(connection="x", headers={"One-More": "v"}),
        ),
    ],
)
def test_edits_that_are_refused(attempt) -> None:
    with pytest.raises(BadRequest):
        attempt()


def test_an_edit_that_says_nothing_changes_nothing() -> None:
    before = row(sealed=KEPT)
    edit = http_edit(before, ConnectionEdit(connection="github", name=UNSET))
    assert edit.after == before
    assert not edit.retargets(before)
