"""Settings: each is read, each bad value is refused by name."""

from pathlib import Path

import pytest

from meshd.core.config import SETTINGS, SOCKET_BYTES, read_config
from meshd.core.config_otlp import Otlp
from meshd.core.database_url import SqliteFile
from meshd.core.secret import Secret
from meshd.core.trace_context import Sampler
from meshd.wire.errors import BadRequest

HOME = {"MESHCTL_HOME": "/tmp/home"}
DAY = 86400 * 1_000_000


def otlp(**more: object) -> Otlp:
    """Where traces go with nothing said but `COLLECTOR`."""
    given = {"endpoint": "http://h:4318/v1/traces", "headers": {}, "service": "meshd",
             "attributes": {}, "sampler": Sampler()}  # fmt: skip
    return Otlp(**{**given, **more})  # type: ignore[arg-type]


GOOD = {
    "MESHCTL_HOME": ("/tmp/other", "home", Path("/tmp/other")),
    "CONFIG_PATH": ("", "config_path", None),
    "PORT": ("4000", "port", 4000),
    "HOST": ("::1", "host", "::1"),
    "TLS_CERT": ("tls/cert.pem", "tls", (Path("/tmp/home/tls/cert.pem"), Path("/k"))),
    "TLS_KEY": ("/tls/key.pem", "tls", (Path("/c"), Path("/tls/key.pem"))),
    "TRUSTED_PROXIES": ("10.0.0.1, fd00::/8", "trusted_proxies", ("10.0.0.1", "fd00::/8")),
    "ENABLE_DEBUG_SERVER": ("TRUE", "debug_port", 9090),
    "DEBUG_PORT": ("0", "debug_port", 0),
    "BASE_URL": ("https://mesh.example/", "base_url", "https://mesh.example"),
    "ALLOWED_HOSTS": ("A.example:8080, b ,,", "allowed_hosts", frozenset({"a.example:8080", "b"})),
    "ALLOWED_ORIGINS": (
        "https://A.example,vscode-webview://x",
        "allowed_origins",
        frozenset({"https://a.example", "vscode-webview://x"}),
    ),
    "DATABASE_URL": (
        "file:x/all.db",
        "database",
        SqliteFile(Path("/tmp/home/x/all.db")),
    ),
    "DATABASE_PG_SSL": ("TRUE", "database_ssl", True),
    "OUTBOUND_ALLOW": (
        "10.0.0.0/8,fd00::1,Metadata.",
        "outbound_allow",
        ("10.0.0.0/8", "fd00::1", "metadata."),
    ),
    "METRICS_ACCESS": ("Loopback", "metrics_access", "loopback"),
    "MESHCTL_LOG_LEVEL": ("DEBUG", "log_level", "debug"),
    "MESHCTL_KEEP_EVENTS": ("12h", "keep_events", 12 * 3600 * 1_000_000),
    "MESHCTL_RATE_LIMIT": ("60", "rate_limit", 60),
    "MESHCTL_PUBLISH_RATE": ("70", "publish_rate", 70),
    "MESHCTL_KEEP_WAITING": ("3d", "keep_waiting", 3 * 86400 * 1_000_000),
    "MESHCTL_KEEP_FREE": ("80", "keep_free", 80),
    "MESHCTL_MASTER_KEY_COMMAND": (
        "op read 'a key'",
        "master_key_command",
        ("op", "read", "a key"),
    ),
    "CREDENTIALS_DIRECTORY": ("/run/c", "credentials", Path("/run/c")),
    "MESHCTL_KEYRING": ("On", "keyring", True),
    "MESHCTL_MASTER_KEY": ("key", "master_key_value", Secret("key")),
    "AUTH_CONFIG_PATH": ("", "auth_config_path", None),
    "MESHCTL_KEY_LIFETIME": ("90d", "key_lifetime", 90 * 86400 * 1_000_000),
    "MESHCTL_KEY_MAX_LIFETIME": ("365d", "key_max_lifetime", 365 * 86400 * 1_000_000),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("http://h:4318/", "otlp", otlp()),
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": (
        "https://h/api/traces",
        "otlp",
        otlp(endpoint="https://h/api/traces"),
    ),
    "OTEL_EXPORTER_OTLP_HEADERS": (
        "authorization=Bearer%20x, b=c=d,",
        "otlp",
        otlp(headers={"authorization": Secret("Bearer x"), "b": Secret("c=d")}),
    ),
    "OTEL_SERVICE_NAME": ("edge", "otlp", otlp(service="edge")),
    "OTEL_RESOURCE_ATTRIBUTES": (
        "deployment.environment=prod,a=%2C",
        "otlp",
        otlp(attributes={"deployment.environment": "prod", "a": ","}),
    ),
    "OTEL_TRACES_SAMPLER": ("always_off", "otlp", otlp(sampler=Sampler("always_off"))),
    "OTEL_TRACES_SAMPLER_ARG": ("0.25", "otlp", otlp(sampler=Sampler(ratio=0.25))),
    "OTEL_SDK_DISABLED": ("True", "otlp", None),
    "MESHCTL_KEEP_CALLS": ("36500d", "keep_calls", 36500 * 86400 * 1_000_000),
}
COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4318"}
TOGETHER = {**{name: COLLECTOR for name in GOOD if name.startswith("OTEL_") and "ENDPOINT" not in name},
            "TLS_CERT": {"TLS_KEY": "/k"}, "TLS_KEY": {"TLS_CERT": "/c"},
            "DEBUG_PORT": {"ENABLE_DEBUG_SERVER": "true"}}  # fmt: skip
"""What a setting needs beside it."""
BAD = [
    ("PORT", "65536"), ("PORT", "-1"), ("PORT", "80a"), ("PORT", "٣"), ("PORT", "9" * 400),
    ("HOST", "0.0.0.0"), ("HOST", "192.168.1.1"), ("HOST", "::"), ("HOST", "example.com"),
    ("ENABLE_DEBUG_SERVER", "maybe"), ("DEBUG_PORT", "-1"), ("TLS_CERT", "/c"), ("TLS_KEY", "/k"), ("TRUSTED_PROXIES", "proxy"), ("TRUSTED_PROXIES", "*"),
    ("BASE_URL", "mesh.example"), ("BASE_URL", "https://a/b"), ("BASE_URL", "ftp://a"),
    ("BASE_URL", "https://user@a"), ("BASE_URL", "https://a?b"),
    ("ALLOWED_HOSTS", "https://a.example"), ("ALLOWED_HOSTS", "a b"),
    ("ALLOWED_ORIGINS", "a.example"), ("ALLOWED_ORIGINS", "null"), ("ALLOWED_ORIGINS", "*"),
    ("ALLOWED_ORIGINS", "https://a/path"),
    ("DATABASE_URL", "mysql://h/d"), ("DATABASE_URL", "data/mesh.db"), ("DATABASE_PG_SSL", "maybe"),
    ("OUTBOUND_ALLOW", "10.0.0.0/33"), ("OUTBOUND_ALLOW", "http://a"), ("OUTBOUND_ALLOW", "*"),
    ("MESHCTL_KEEP_EVENTS", "59s"), ("MESHCTL_KEEP_EVENTS", "7"), ("MESHCTL_KEEP_CALLS", "0d"),
    ("MESHCTL_RATE_LIMIT", "0"), ("MESHCTL_RATE_LIMIT", "1000001"), ("MESHCTL_RATE_LIMIT", "1/s"),
    ("MESHCTL_KEEP_CALLS", "36501d"), ("MESHCTL_KEEP_CALLS", "999999999d"),
    ("CONFIG_PATH", "~nobody-of-that-name/x"), ("MESHCTL_HOME", "~nobody-of-that-name/x"),
    ("MESHCTL_KEYRING", "maybe"), ("MESHCTL_MASTER_KEY_COMMAND", "op 'read"),
    ("MESHCTL_MASTER_KEY_COMMAND", "''"),
    ("METRICS_ACCESS", "all"), ("MESHCTL_KEY_LIFETIME", "never"), ("MESHCTL_KEY_MAX_LIFETIME", "0d"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "h:4318"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:p@h"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://h"),
    ("OTEL_RESOURCE_ATTRIBUTES", "x"), ("OTEL_TRACES_SAMPLER", "sometimes"), ("OTEL_TRACES_SAMPLER_ARG", "1.1"),
    ("OTEL_TRACES_SAMPLER_ARG", "nan"), ("OTEL_TRACES_SAMPLER_ARG", "-0"), ("OTEL_SDK_DISABLED", "maybe"),
    ("MESHCTL_LOG_LEVEL", "loud"), ("MESHCTL_HOME", "/" + "a" * SOCKET_BYTES),
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.env)
def test_every_setting_of_the_table_is_read(setting, tmp_path: Path) -> None:
    """A row that nobody reads would be a promise that nobody keeps."""
    text, field, value = GOOD[setting.env]
    if setting.env in {"CONFIG_PATH", "AUTH_CONFIG_PATH"}:
        (tmp_path / "other.json").write_text("{}")
        text = str(tmp_path / "other.json")
        value = Path(text)
    default = read_config({**HOME, **(COLLECTOR if setting.env == "OTEL_SDK_DISABLED" else {})})
    config = read_config({**HOME, **TOGETHER.get(setting.env, {}), setting.env: text})
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


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1"])
def test_beyond_loopback_something_protects_the_keys(host: str) -> None:
    for more in (TOGETHER["TLS_CERT"] | {"TLS_CERT": "/c"}, {"TRUSTED_PROXIES": "10.0.0.1"}):
        assert read_config({**HOME, "HOST": host, **more}).host == host


def test_empty_values_are_as_if_not_set() -> None:
    config = read_config({**HOME, **{s.env: "" for s in SETTINGS if s.env != "MESHCTL_HOME"}})
    assert config == read_config(HOME)
    assert config.sources["PORT"] == "default"


@pytest.mark.parametrize("written", ["true", "false", '"true"', "1"])
def test_a_flag_in_config_json_is_written_as_there(tmp_path: Path, written: str) -> None:
    (tmp_path / "config.json").write_text(f'{{"database_pg_ssl": {written}}}')
    config = read_config({"MESHCTL_HOME": str(tmp_path)})
    assert config.database_ssl == (written != "false")


@pytest.mark.parametrize("place", ["environ", "file"])
@pytest.mark.parametrize("url", ["postgres://u:hunter2@h/d", "mysql://u:hunter2@h/d"])
def test_a_password_in_the_database_is_shown_nowhere(tmp_path: Path, place: str, url: str) -> None:
    """Not where settings are listed, and not where one is refused."""
    home, files = {"MESHCTL_HOME": str(tmp_path)}, []
    if place == "environ":
        home["DATABASE_URL"] = url
    else:
        files = [tmp_path / "x.env"]
        files[0].write_text(f"DATABASE_URL= {url} \n")
    try:
        config = read_config(home, env_files=files)
        said = f"{config!r} {config.shown()}"
        assert config.text("DATABASE_URL") == "postgres://u:***@h/d"
    except BadRequest as refused:
        said = f"{refused} {refused.body()}"
        assert "DATABASE_URL" in said
    assert "hunter2" not in said


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


def test_each_layer_beats_those_below(tmp_path: Path) -> None:
    """Flag, environment, env-files (the later first), config.json, default."""
    (tmp_path / "config.json").write_text('{"port": 1, "host": "::1", "base_url": "http://j",'
        '\n"allowed_hosts": ["a", "b:1"], "meshctl_keep_calls": "9d"}')  # fmt: skip
    one, two = tmp_path / "one.env", tmp_path / "two.env"
    one.write_text("PORT=2\nHOST=127.0.0.2\nALLOWED_HOSTS=one\nBASE_URL=http://one\n")
    two.write_text("PORT=3\nHOST=127.0.0.3\nALLOWED_HOSTS=two\nALLOWED_HOSTS=last\nTERM=x\n")
    environ = {"MESHCTL_HOME": str(tmp_path), "PORT": "4", "HOST": "127.0.0.4", "BASE_URL": " "}
    config = read_config(environ, port=5, env_files=[one, two])
    assert (config.port, config.host, config.base_url) == (5, "127.0.0.4", "http://one")
    assert config.allowed_hosts == {"last"}
    said = {name: source for name, source in config.sources.items() if source != "default"}
    assert said == {
        "MESHCTL_HOME": "environment",
        "PORT": "command line",
        "HOST": "environment",
        "BASE_URL": f"{one}:4",
        "ALLOWED_HOSTS": f"{two}:4",
        "MESHCTL_KEEP_CALLS": f"{tmp_path}/config.json:2",
    }
    assert config.ignored == ("TERM",)
    bare = read_config({"MESHCTL_HOME": str(tmp_path)})
    assert (bare.port, bare.host, bare.allowed_hosts) == (1, "::1", {"a", "b:1"})


def test_keys_have_a_file_of_their_own(tmp_path: Path) -> None:
    """What config.json says of the same is the stronger word, and the environment beats both."""
    environ = {"MESHCTL_HOME": str(tmp_path)}
    own, shared = tmp_path / "auth-config.json", tmp_path / "config.json"
    own.write_text('{"keys":\n {"default_lifetime": "1d", "max_lifetime": "9d"}}')
    config = read_config(environ)
    assert (config.key_lifetime, config.key_max_lifetime) == (DAY, 9 * DAY)
    assert config.sources["MESHCTL_KEY_LIFETIME"] == f"{own}:2"
    shared.write_text('{"port": 1, "auth": {\n"keys": {\n"default_lifetime": "2d"}}}')
    config = read_config(environ)
    assert (config.key_lifetime, config.key_max_lifetime) == (2 * DAY, 9 * DAY)
    assert config.sources["MESHCTL_KEY_LIFETIME"] == f"{shared}:3"
    assert read_config({**environ, "MESHCTL_KEY_LIFETIME": "3d"}).key_lifetime == 3 * DAY
    with pytest.raises(BadRequest, match="no such file") as refused:
        read_config({**environ, "AUTH_CONFIG_PATH": "other.json"})
    assert refused.value.facts == {"AUTH_CONFIG_PATH": str(tmp_path / "other.json")}


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ('{"keys": {\n"lifetime": "1d"}}', "2", "keys.lifetime"),
        ('{"default_lifetime": "1d"}', "1", "default_lifetime"),
        ('{"port": 1}', "1", "port"),
        ('{"keys": "1d"}', "1", "keys"),
        ('{"keys": {\n\n"max_lifetime": "soon"}}', "3", "keys.max_lifetime"),
        ('{"keys": {"max_lifetime": {}}}', "1", "keys.max_lifetime"),
        ('{"keys": {"max_lifetime": "1d"\n', "2", None),
        ('{"keys": {"max_lifetime": "1d",\n"default_lifetime": "2d"}}', "2", None),
    ],
)
def test_a_wrong_auth_config_is_refused_with_file_line_and_key(
    tmp_path: Path, text: str, line: str, key: str | None
) -> None:
    (tmp_path / "auth-config.json").write_text(text)
    with pytest.raises(BadRequest) as refused:
        read_config({"MESHCTL_HOME": str(tmp_path)})
    facts = refused.value.facts
    assert (facts["file"], facts["line"]) == (str(tmp_path / "auth-config.json"), line)
    assert facts.get("key") == key


@pytest.mark.parametrize("text", ["canary", "a=b,=canary", "a b=canary", "a=canary%0D%0Ax: y"])
def test_headers_that_are_none_are_refused_without_telling_them(text: str) -> None:
    with pytest.raises(BadRequest, match="OTEL_EXPORTER_OTLP_HEADERS") as refused:
        read_config({**HOME, **COLLECTOR, "OTEL_EXPORTER_OTLP_HEADERS": text})
    assert "canary" not in str(refused.value.body())


def test_headers_are_shown_nowhere() -> None:
    config = read_config({**HOME, **COLLECTOR, "OTEL_EXPORTER_OTLP_HEADERS": "a=canary"})
    assert "canary" not in f"{config!r} {config.shown()}"
    assert config.text("OTEL_EXPORTER_OTLP_HEADERS") == "***"


def refusal(tmp_path: Path, json: str = "{}", env: str = "") -> dict[str, str]:
    """The sentence and the facts of a refused file."""
    (tmp_path / "config.json").write_text(json)
    (tmp_path / "x.env").write_text(env)
    with pytest.raises(BadRequest) as refused:
        read_config({"MESHCTL_HOME": str(tmp_path)}, env_files=[tmp_path / "x.env"])
    return {"message": refused.value.message, **refused.value.facts}


@pytest.mark.parametrize("name", ["prot", "PORT", "", "Host", "meshctl_home", "config_path"])
def test_a_name_that_config_json_should_not_have(tmp_path: Path, name: str) -> None:
    """Neither unknown ones, nor those that say where the file itself is."""
    refused = refusal(tmp_path, f'{{\n"port": 1,\n"{name}": "x"}}')
    assert refused["message"].startswith("config.json: ")
    assert (refused["line"], refused["key"]) == ("3", name)
    assert refused["file"] == str(tmp_path / "config.json")


def test_a_value_in_a_file_is_refused_with_its_line(tmp_path: Path) -> None:
    refused = refusal(tmp_path, '{\n\n"host": "example.com"}')
    assert (refused["line"], refused["key"]) == ("3", "host")
    refused = refusal(tmp_path, env="A=1\nPORT=many\n")
    assert (refused["line"], refused["key"]) == ("2", "port")
    assert refusal(tmp_path, env="MESHCTL_HOME=/x")["line"] == "1"


def test_a_config_path_that_was_said_must_be_there(tmp_path: Path) -> None:
    """Without a word about it none need be; relative ones begin in the home."""
    environ = {"MESHCTL_HOME": str(tmp_path), "CONFIG_PATH": "mine.json"}
    with pytest.raises(BadRequest, match="no such file"):
        read_config(environ)
    (tmp_path / "mine.json").write_text('{"port": 7}')
    assert read_config(environ).port == 7


def test_what_is_shown_is_masked(tmp_path: Path) -> None:
    """Text of any setting that looks like a credential."""
    secret = "ghp_" + "a1" * 18
    config = read_config({**HOME, "ALLOWED_HOSTS": f"a,{secret}"})
    rows = {row.name: row for row in config.shown()}
    assert rows["ALLOWED_HOSTS"].value == "a,***"
    assert secret not in repr(rows)
    refused = refusal(tmp_path, env=f"PORT={secret}")
    assert secret not in repr(refused)


def test_the_master_key_is_in_no_table_and_in_no_file(tmp_path: Path) -> None:
    """Only the wrapper has it; the command, whose arguments may hold a secret, is masked too."""
    environ = {
        "MESHCTL_HOME": str(tmp_path), "MESHCTL_MASTER_KEY": "canary-value",
        "MESHCTL_MASTER_KEY_COMMAND": "show canary-argument",
    }  # fmt: skip
    config = read_config(environ)
    shown = {row.name: row.value for row in config.shown()}
    assert shown["MESHCTL_MASTER_KEY"] == shown["MESHCTL_MASTER_KEY_COMMAND"] == "***"
    assert "canary-value" not in repr(config)
    assert "canary" not in repr(config.shown())
    for text in ('{"meshctl_master_key": "canary-value"}', '{"meshctl_keyring": "canary-value"}'):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(BadRequest) as refused:
            read_config({"MESHCTL_HOME": str(tmp_path)})
        assert ("canary" in str(refused.value.body())) == ("keyring" in text)
    (tmp_path / "config.json").unlink()
    (tmp_path / "a.env").write_text("MESHCTL_MASTER_KEY=canary-value\n")
    with pytest.raises(BadRequest, match="no file of settings") as refused:
        read_config({"MESHCTL_HOME": str(tmp_path)}, env_files=[tmp_path / "a.env"])
    assert "canary" not in str(refused.value.body())
    with pytest.raises(BadRequest) as refused:
        read_config({**environ, "MESHCTL_MASTER_KEY_COMMAND": "show 'canary"})
    assert "canary" not in str(refused.value.body())
