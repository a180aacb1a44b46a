"""Files of settings: what is read, and where they are wrong."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.core.config_file import MAX_BYTES, read_env, read_json
from meshd.wire.errors import BadRequest


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings") / "file"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("{}", []),
        (" \n{ }\n", []),
        ('{"a":"x"}', [("a", "x", 1)]),
        ('\ufeff{"a":"x"}', [("a", "x", 1)]),
        (
            '{\n "a" :\n 1 ,\r\n"b": ["x", "y"],"c":[]}',
            [("a", "1", 2), ("b", "x,y", 4), ("c", "", 4)],
        ),
        ('{"\\u0061": "\\n}"}', [("a", "\n}", 1)]),
    ],
)
def test_json_is_read_with_its_lines(
    file: Path, text: str, lines: list[tuple[str, str, int]]
) -> None:
    file.write_text(text)
    assert read_json(file) == lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1), ("[]", 1), ("{", 1), ('\n{"a"', 2), ('{"a":\n}', 2), ('{"a": 1\n"b": 2}', 2),
        ('{"a": 1,\n}', 2), ("{a: 1}", 1), ("{1: 1}", 1), ('{"a": 1}\n{}', 2), ('{,"a": 1}', 1),
        ('{"a": 1,\n// no\n"b": 2}', 2), ('{"a": 1,\n"a": 1}', 2), ('{"a": "\n"}', 1),
        ('{"a": null}', 1), ('{"a": 1.5}', 1), ('{"a": NaN}', 1),
        ('{"a": {}}', 1), ('{"a": [1]}', 1), ('{"a": ' + "9" * 5000 + "}", 1),
        ('{"a": ' + "[" * 100_000, 1),
    ],
)  # fmt: skip
def test_json_that_is_wrong_is_refused_with_its_line(file: Path, text: str, line: int) -> None:
    file.write_text(text)
    with pytest.raises(BadRequest) as refused:
        read_json(file)
    assert refused.value.facts["line"] == str(line)
    assert refused.value.facts["file"] == str(file)


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers(), max_size=5))
def test_json_is_what_python_reads(file: Path, members: dict[str, str | int]) -> None:
    """Names and values of any flat object, however it is spaced."""
    file.write_text(json.dumps(members, indent=1))
    assert {line.name: line.text for line in read_json(file)} == {
        name: str(value) for name, value in members.items()
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("K=v", "v"), ("  K = v  ", "v"), ("export K=v", "v"), ("K=", ""), ("K=a b", "a b"),
        ("K=a#b", "a#b"), ("K=a # b", "a"), ("K=# b", ""), ("K='a # b' # c", "a # b"),
        ('K="a \\" # b"', 'a " # b'), ("K='a\\n'", "a\\n"), ('K="a\\n\\t\\$"', "a\n\t$"),
        ("K=$HOME", "$HOME"), ('K="${X}"', "${X}"), ("K=a=b", "a=b"), ("K=v\r", "v"),
        ('K=it"s', 'it"s'),
    ],
)  # fmt: skip
def test_env_lines(file: Path, text: str, value: str) -> None:
    file.write_text(f"# comment\n\n{text}\n")
    assert read_env(file) == [("K", value, 3)]


@pytest.mark.parametrize("text", ["K", "=v", "1K=v", "K-L=v", "K='a", 'K="a', "K='a'b", 'K="a" b'])
def test_an_env_line_that_is_none_is_refused(file: Path, text: str) -> None:
    file.write_text(f"A=1\n{text}\n")
    with pytest.raises(BadRequest) as refused:
        read_env(file)
    assert refused.value.facts == {"file": str(file), "line": "2"}


@pytest.mark.parametrize("read", [read_json, read_env])
def test_what_cannot_be_read_is_refused(read, file: Path) -> None:
    """A folder, a file without end, bytes that are no text."""
    with pytest.raises(BadRequest, match="cannot be read"):
        read(file.parent)
    file.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(BadRequest, match="256 KiB"):
        read(file)
    file.write_bytes(b"\n\n\xff")
    with pytest.raises(BadRequest) as refused:
        read(file)
    assert refused.value.facts["line"] == "3"
