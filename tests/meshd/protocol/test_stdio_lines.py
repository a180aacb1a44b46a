"""Chunks to lines, lines to messages, messages to lines; and whose progress token is whose."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshd.protocol.jsonrpc import Message
from meshd.protocol.progress import own_token, restore_token, swap_token, token_of
from meshd.protocol.stdio_lines import (
    LineSplitter,
    LineTooLongError,
    NotAMessageError,
    as_line,
    read_message,
    unbatch,
    whole_utf8,
)


@given(st.binary(max_size=200).map(lambda data: data.replace(b"x", b"\n")), st.data())
def test_lines_do_not_depend_on_how_the_stream_was_cut(stream, data):
    """Any chunks give the lines that the whole stream has."""
    splitter = LineSplitter(1000)
    lines, rest = [], stream
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        lines += splitter.feed(rest[:size])
        rest = rest[size:]
    assert lines == stream.split(b"\n")[:-1]


@pytest.mark.parametrize(
    ("before", "last"),
    [(b"", b"x" * 11), (b"x" * 6, b"x" * 5), (b"a\n", b"x" * 11 + b"\n"), (b"x" * 10, b"x\n")],
)
def test_a_line_over_the_limit(before, last):
    """Found before its end comes, and also when it comes whole."""
    splitter = LineSplitter(10)
    splitter.feed(before)
    with pytest.raises(LineTooLongError):
        splitter.feed(last)


def test_a_line_at_the_limit():
    """Ten times over; the limit is each line's, not the stream's."""
    splitter = LineSplitter(10)
    for _ in range(10):
        assert splitter.feed(b"x" * 10) == []
        assert splitter.feed(b"\ny\n") == [b"x" * 10, b"y"]


@pytest.mark.parametrize(
    "line",
    [b"", b"\r", b"Listening on stdio", b"5", b'"x"', b"null", b"{}", b'{"level":30,"msg":"hi"}',
     b'{"method":5}', b'{"id":1,"result":NaN}', b'{"id":1} x', b"\x1b[1mhi", b'{"a":' * 200_000],
)  # fmt: skip
def test_what_is_no_message(line):
    """Banners, logs, broken and bottomless JSON."""
    with pytest.raises(NotAMessageError):
        read_message(line)


@pytest.mark.parametrize(
    ("line", "messages"),
    [
        (b'{"id":1}', [b'{"id":1}']),
        (b' [{"id":1} , {"method":"m"}]\r', [b'{"id":1}', b'{"method":"m"}']),
        (b"[]", []),
    ],
)
def test_unbatch(line, messages):
    """A line holds one message or a batch."""
    assert unbatch(line) == messages


@pytest.mark.parametrize("line", [b"[INFO] ready", b"[" * 200_000, b"[1,]"])
def test_what_only_looks_like_a_batch(line):
    """A log line may start with a bracket."""
    with pytest.raises(NotAMessageError):
        unbatch(line)


@pytest.mark.parametrize(
    ("line", "text"),
    [(b"abc", "abc"), ("日本".encode(), "日本"), (b"caf\xe9", "caf\ufffd")],
)
def test_whole_utf8(line, text):
    """Only what is wrong changes."""
    assert whole_utf8(line) == text.encode()


texts = st.text(max_size=10)
values = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(values, st.sampled_from([None, 1, "\t"]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_message_is_one_line(value, indent, line_break):
    """However it was laid out, it means the same, and ends where the line ends."""
    line = as_line(json.dumps(value, indent=indent).replace("\n", line_break).encode())
    assert line.index(b"\n") == len(line) - 1
    assert b"\r" not in line
    assert json.loads(line) == value


@pytest.mark.parametrize(
    "params",
    [b"", b"{}", b"[1]", b'{"_meta":{}}', b'{"_meta":null}', b'{"_meta":[]}',
     b'{"progressToken":1}', b'{"arguments":{"_meta":{"progressToken":1}}}', b'{"a":"\\u0041"}',
     b'{"_meta":{"x":"progressToken"}}'],
)  # fmt: skip
def test_params_without_a_token_stay_as_they_are(params):
    """Also when the name occurs elsewhere."""
    assert swap_token(params, b"42") == (params, None)


@pytest.mark.parametrize(
    ("params", "swapped", "token"),
    [
        (
            b'{ "_meta": {"progressToken" : "a", "x": 1.0 }, "n":  [2.50 ,1e3] }',
            b'{"_meta":{"progressToken":42,"x":1.0},"n":[2.50 ,1e3]}',
            b'"a"',
        ),
        (b'{"_meta":{"progressToken":1}}', b'{"_meta":{"progressToken":42}}', b"1"),
        (b'{"_\\u006deta":{"p\\u0072ogressToken":7}}', b'{"_meta":{"progressToken":42}}', b"7"),
    ],
)
def test_a_token_is_swapped(params, swapped, token):
    """Escapes do not hide it; what stands beside it keeps its bytes."""
    assert swap_token(params, b"42") == (swapped, token)


@pytest.mark.parametrize(
    ("params", "sent", "token"),
    [
        (b'{"name":"a"}', b'{"_meta":{"progressToken":42},"name":"a"}', None),
        (b"{}", b'{"_meta":{"progressToken":42}}', None),
        (b"{ }", b'{"_meta":{"progressToken":42}}', None),
        (b'{"_meta":{"x":1.0},"n":1e3}', b'{"_meta":{"x":1.0,"progressToken":42},"n":1e3}', None),
        (b'{"a":"_meta"}', b'{"a":"_meta","_meta":{"progressToken":42}}', None),
        (b'{"_m\\u0065ta":{}}', b'{"_meta":{"progressToken":42}}', None),
        (b'{"_meta":{"progressToken":"a"}}', b'{"_meta":{"progressToken":42}}', b'"a"'),
        (b'{"_meta":[]}', b'{"_meta":[]}', None),
        (b"", b"", None),
    ],
)
def test_a_call_bears_a_token_of_ours(params, sent, token):
    """Also where its caller has none; what cannot have one stays as it is."""
    assert own_token(params, b"42") == (sent, token)


def test_a_token_is_restored():
    """In place, whatever else the notification has."""
    line = b'{"method": "notifications/progress", "params":{"progressToken":42,"progress": 1.0}, "z":1.0}'
    assert token_of(read_message(line)) == b"42"
    assert restore_token(line, b'"a"') == (
        b'{"method":"notifications/progress","params":{"progressToken":"a","progress":1.0},"z":1.0}'
    )


@pytest.mark.parametrize("params", [b"", b"[]", b"{}", b'{"progress":1}'])
def test_progress_without_a_token(params):
    """It belongs to nobody."""
    line = b'{"method":"m"%b}' % (b',"params":' + params if params else b"")
    message = read_message(line)
    assert isinstance(message, Message)
    assert token_of(message) is None
