"""Settings: each is read, each bad value is refused by name."""

from pathlib import Path

import pytest

from meshd.core.config import SETTINGS, SOCKET_BYTES, read_config
from meshd.wire.errors import BadRequest

HOME = {"MESHCTL_HOME": "/tmp/home"}
GOOD = {
    "MESHCTL_HOME": ("/tmp/other", "home", Path("/tmp/other")),
    "PORT": ("4000", "port", 4000),
    "HOST": ("::1", "host", "::1"),
    "BASE_URL": ("https://mesh.example/", "base_url", "https://mesh.example"),
    "ALLOWED_HOSTS": ("A.example:8080, b ,,", "allowed_hosts", frozenset({"a.example:8080", "b"})),
    "ALLOWED_ORIGINS": (
        "https://A.example,vscode-webview://x",
        "allowed_origins",
        frozenset({"https://a.example", "vscode-webview://x"}),
    ),
    "OUTBOUND_ALLOW": (
        "10.0.0.0/8,fd00::1,Metadata.",
        "outbound_allow",
        ("10.0.0.0/8", "fd00::1", "metadata."),
    ),
    "MESHCTL_LOG_LEVEL": ("DEBUG", "log_level", "debug"),
}
BAD = [
    ("PORT", "65536"), ("PORT", "-1"), ("PORT", "80a"), ("PORT", "٣"), ("PORT", "9" * 400),
    ("HOST", "0.0.0.0"), ("HOST", "192.168.1.1"), ("HOST", "::"), ("HOST", "example.com"),
    ("BASE_URL", "mesh.example"), ("BASE_URL", "https://a/b"), ("BASE_URL", "ftp://a"),
    ("BASE_URL", "https://user@a"), ("BASE_URL", "https://a?b"),
    ("ALLOWED_HOSTS", "https://a.example"), ("ALLOWED_HOSTS", "a b"),
    ("ALLOWED_ORIGINS", "a.example"), ("ALLOWED_ORIGINS", "null"), ("ALLOWED_ORIGINS", "*"),
    ("ALLOWED_ORIGINS", "https://a/path"),
    ("OUTBOUND_ALLOW", "10.0.0.0/33"), ("OUTBOUND_ALLOW", "http://a"), ("OUTBOUND_ALLOW", "*"),
    ("MESHCTL_LOG_LEVEL", "loud"), ("MESHCTL_HOME", "/" + "a" * SOCKET_BYTES),
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.env)
def test_every_setting_of_the_table_is_read(setting) -> None:
    """A row that nobody reads would be a promise that nobody keeps."""
    text, field, value = GOOD[setting.env]
    default = read_config(HOME)
    config = read_config({**HOME, setting.env: text})
    assert getattr(config, field) == value
    assert getattr(config, field) != getattr(default, field)
    assert config.sources[setting.env] == "environment"
    assert setting.help.endswith(".")


def test_the_table_and_the_examples_have_the_same_rows() -> None:
    assert {setting.env for setting in SETTINGS} == set(GOOD)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_that_is_not_valid_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_config({**HOME, name: value})
    assert name in refused.value.message
    assert refused.value.message.isprintable()


def test_empty_values_are_as_if_not_set() -> None:
    config = read_config({**HOME, **{s.env: "" for s in SETTINGS if s.env != "MESHCTL_HOME"}})
    assert config == read_config(HOME)
    assert config.sources["PORT"] == "default"


def test_the_command_line_wins_and_is_checked_alike() -> None:
    config = read_config({**HOME, "PORT": "4000"}, port=0)
    assert (config.port, config.sources["PORT"]) == (0, "command line")
    for port in (-1, 65536):
        with pytest.raises(BadRequest, match="PORT"):
            read_config(HOME, port=port)


def test_without_a_home_nothing_starts() -> None:
    with pytest.raises(BadRequest, match="MESHCTL_HOME"):
        read_config({})


def test_everything_lies_below_the_home() -> None:
    """And the master key apart from what a backup copies."""
    config = read_config(HOME)
    places = [
        config.socket,
        config.lock,
        config.master_key,
        config.log,
        config.data,
        config.children,
    ]
    assert all(place.is_relative_to(config.home) for place in places)
    assert not config.master_key.is_relative_to(config.data)
