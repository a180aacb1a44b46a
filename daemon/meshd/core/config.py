"""Every setting, declared once: name, kind, default, help; and the settings in force."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from meshd.core import config_auth, config_otlp
from meshd.core import config_values as kinds
from meshd.core.config_file import Line, read_env, read_json, shown, wrong
from meshd.core.database_url import PostgresServer, SqliteFile
from meshd.core.secret import Secret
from meshd.core.setting import Setting
from meshd.wire.config import SettingShown
from meshd.wire.errors import BadRequest

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "MESHCTL_HOME", kinds.PATH, "", "Folder that holds everything.",
        unset="the platform's state folder", located=True,
    ),
    Setting(
        "CONFIG_PATH", kinds.PATH, "", "JSON file of settings in lower case.",
        unset="config.json in MESHCTL_HOME", located=True,
    ),
    Setting(
        "PORT", kinds.PORT, "", "TCP port for MCP; 0 picks one.",
        unset="3000, else the next free one",
    ),
    Setting(
        "HOST", kinds.ADDRESS, "127.0.0.1",
        "Where to listen; beyond loopback with TLS or proxies alone.",
    ),
    Setting(
        "TLS_CERT", kinds.PATH, "", "PEM file of the certificate chain; SIGHUP reads it.",
        unset="plain HTTP",
    ),
    Setting("TLS_KEY", kinds.PATH, "", "PEM file of the certificate's key, not encrypted."),
    Setting(
        "TRUSTED_PROXIES", kinds.NETWORKS, "",
        "Proxies (addresses, CIDRs) that may speak plain HTTP from elsewhere.",
        live=True,
    ),
    Setting(
        "ENABLE_DEBUG_SERVER", kinds.SWITCH, "false",
        "Show tasks, threads and memory to keys with self/daemon.show.",
    ),
    Setting("DEBUG_PORT", kinds.PORT, "9090", "Loopback port of the debug server; 0 picks one."),
    Setting(
        "BASE_URL", kinds.URL, "",
        "Public URL, when a proxy stands in front; its host is a right Host.",
    ),
    Setting(
        "ALLOWED_HOSTS", kinds.HOSTS, "", "More right Host values, comma-separated.", live=True
    ),
    Setting(
        "ALLOWED_ORIGINS", kinds.ORIGINS, "",
        "Right Origin values of browser clients, comma-separated.", live=True,
    ),
    Setting(
        "DATABASE_URL", kinds.DATABASE, "",
        "postgres://… or file:PATH, calls.db beside it.",
        unset="file:data/mesh.db",
    ),
    Setting(
        "DATABASE_PG_SSL", kinds.SWITCH, "false",
        "Whether Postgres must prove over TLS who it is.",
    ),
    Setting(
        "OUTBOUND_ALLOW", kinds.REACHABLE, "",
        "Hosts and CIDRs reachable although they are cloud metadata.", live=True,
    ),
    Setting(
        "METRICS_ACCESS", kinds.ACCESS, "key",
        "Who may GET /metrics: key, loopback, open or off.", live=True,
    ),
    Setting("MESHCTL_LOG_LEVEL", kinds.LEVEL, "info", "debug, info, warning or error.", live=True),
    Setting(
        "MESHCTL_KEEP_EVENTS", kinds.KEEP, "7d", "How long events are kept: 12h, 30d.", live=True
    ),
    Setting(
        "MESHCTL_KEEP_CALLS", kinds.KEEP, "30d", "How long records of calls are kept.", live=True
    ),
    Setting(
        "MESHCTL_KEEP_WAITING", kinds.KEEP, "7d",
        "How long a delivery that nobody takes is kept.", live=True,
    ),
    Setting(
        "MESHCTL_RATE_LIMIT", kinds.RATE, "", "Calls a minute that each key may make.",
        unset="no limit", live=True,
    ),
    Setting(
        "MESHCTL_PUBLISH_RATE", kinds.RATE, "5000", "Events a second that each org may publish.",
        live=True,
    ),
    Setting(
        "MESHCTL_KEEP_FREE", kinds.RATE, "256",
        "MiB of the disk that events leave free.", live=True,
    ),
    Setting(
        "MESHCTL_MASTER_KEY_COMMAND", kinds.COMMAND, "",
        "Program that prints the vault's master key; run without a shell.",
    ),
    Setting(
        "CREDENTIALS_DIRECTORY", kinds.PATH, "",
        "Set by systemd: meshctl-master-key in it is the master key.", located=True,
    ),
    Setting(
        "MESHCTL_KEYRING", kinds.SWITCH, "", "Keep the master key in the system's keyring.",
        unset="0",
    ),
    Setting(
        "MESHCTL_MASTER_KEY", kinds.SECRET, "",
        "The master key itself, where nothing better can keep it.", secret=True,
    ),
    *config_auth.SETTINGS,
    *config_otlp.SETTINGS,
)  # fmt: skip
"""The table that help topics, `config list` and `daemon show` are made from."""

MASTER_KEY = "MESHCTL_MASTER_KEY"
SECRETS = frozenset(setting.env for setting in SETTINGS if setting.secret)
"""Settings that are secrets; whoever reads the environment takes them out of there."""

_IN_CONFIG = {f"{config_auth.IN_CONFIG}.{s.auth}" if s.auth else s.env.lower(): s for s in SETTINGS}
_IN_AUTH_CONFIG = {setting.auth: setting for setting in SETTINGS if setting.auth}
"""The settings that files have, by their names there."""

_BY_NAME: Mapping[str, Setting] = {setting.env: setting for setting in SETTINGS}

AUTH = Path("auth-config.json")
SOCKET = "meshd.sock"
SOCKET_BYTES = 103
"""The longest path of a Unix socket; macOS ends at 104 bytes with its NUL, Linux at 108."""


@dataclass(frozen=True, slots=True)
class Given:
    """The text of a setting and where it was said: `line` is 0 outside of files."""

    text: str = field(repr=False)
    source: str
    path: Path | None = None
    line: int = 0


DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Config:
    """The settings in force, and where each came from.

    `keep_*` are microseconds. `ignored` are names in env-files that no setting has.
    """

    home: Path
    config_path: Path
    auth_config_path: Path
    port: int | None
    host: str
    tls: tuple[Path, Path] | None
    trusted_proxies: tuple[str, ...]
    debug_port: int | None
    base_url: str | None
    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str]
    database: SqliteFile | PostgresServer
    database_ssl: bool
    outbound_allow: tuple[str, ...]
    metrics_access: kinds.Access
    log_level: str
    keep_events: int
    keep_waiting: int
    keep_calls: int
    key_lifetime: int | None
    key_max_lifetime: int | None
    rate_limit: int | None
    publish_rate: int
    keep_free: int
    master_key_command: tuple[str, ...]
    credentials: Path | None
    keyring: bool
    master_key_value: Secret | None
    otlp: config_otlp.Otlp | None
    given: Mapping[str, Given]
    env_files: tuple[Path, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each setting was said: by its name, in few words."""
        return {setting.env: self.given[setting.env].source for setting in SETTINGS}

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.home / SOCKET

    @property
    def lock(self) -> Path:
        """The file whose flock makes this the only daemon of its home."""
        return self.home / "meshd.lock"

    @property
    def master_key(self) -> Path:
        """Outside of what a backup copies."""
        return self.home / "keys" / "master.key"

    @property
    def log(self) -> Path:
        """The daemon's log."""
        return self.home / "logs" / "meshd.log"

    @property
    def data(self) -> Path:
        """Databases live here, unless `database` says another place."""
        return self.home / "data"

    @property
    def remembered(self) -> Path:
        """What this home remembers of its daemon."""
        return self.home / "run" / "daemon.json"

    @property
    def children(self) -> Path:
        """One record per running child, so that a successor can end orphans."""
        return self.home / "run" / "children"

    def text(self, env: str) -> str:
        """What a setting says now, as it would be written; what is or looks secret is masked."""
        return _shown(_BY_NAME[env], self.given[env].text)

    def value(self, env: str) -> Any:
        """What a setting means."""
        return _BY_NAME[env].kind.value(self.given[env].text)

    def at(self, url: str, source: str) -> "Config":
        """These settings with the data elsewhere; `source` says who said so.

        Raises:
            BadRequest: `url` is no valid DATABASE_URL.
        """
        setting, given = _BY_NAME["DATABASE_URL"], Given(url, source)
        place = _database(self.home, _value(setting, given))
        return replace(self, database=place, given={**self.given, "DATABASE_URL": given})

    def with_live(self, read: Self) -> Self:
        """These settings with the live ones of `read`."""
        live = {setting.env: read.given[setting.env] for setting in SETTINGS if setting.live}
        return replace(
            self,
            trusted_proxies=read.trusted_proxies,
            allowed_hosts=read.allowed_hosts,
            allowed_origins=read.allowed_origins,
            outbound_allow=read.outbound_allow,
            metrics_access=read.metrics_access,
            log_level=read.log_level,
            keep_events=read.keep_events,
            keep_waiting=read.keep_waiting,
            keep_calls=read.keep_calls,
            key_lifetime=read.key_lifetime,
            key_max_lifetime=read.key_max_lifetime,
            rate_limit=read.rate_limit,
            publish_rate=read.publish_rate,
            keep_free=read.keep_free,
            given={**self.given, **live},
        )

    def shown(self) -> list[SettingShown]:
        """Every setting for people and programs."""
        return [
            SettingShown(
                name=setting.env, value=self.text(setting.env), source=self.sources[setting.env],
                default=setting.shown_default, type=setting.kind.name, live=setting.live,
                help=setting.help,
            )
            for setting in SETTINGS
        ]  # fmt: skip


def read_config(
    environ: Mapping[str, str], *, port: int | None = None, env_files: Iterable[Path] = ()
) -> Config:
    """The settings in force. `port` is the command line's.

    The command line beats the environment, that the env-files (a later file an earlier one), those
    `config.json`, that `auth-config.json`, that the defaults. An empty variable is as if not set.

    Raises:
        BadRequest: a value is not valid or a file is wrong, with the name, the file and the line.
    """
    layers = _Layers()
    if port is not None:
        layers.add("PORT", Given(str(port), "command line"))
    for setting in SETTINGS:
        said = environ.get(setting.env, "")
        kept = _shown(setting, said) if setting.secret else said
        layers.add(setting.env, Given(kept, "environment"))
    paths = tuple(path.absolute() for path in env_files)
    ignored = [name for path in reversed(paths) for name in layers.add_env(path)]
    home = _home(layers)
    place = layers.given.get("CONFIG_PATH") or Given("config.json", DEFAULT)
    config_path = home / _value(_BY_NAME["CONFIG_PATH"], place)
    layers.add_json(config_path, _IN_CONFIG, "CONFIG_PATH" if place.source != DEFAULT else None)
    auth_place = layers.given.get("AUTH_CONFIG_PATH")
    auth_path = home / (_value(_BY_NAME["AUTH_CONFIG_PATH"], auth_place) if auth_place else AUTH)
    layers.add_json(auth_path, _IN_AUTH_CONFIG, "AUTH_CONFIG_PATH" if auth_place else None)
    given = {
        **{setting.env: Given(setting.default, DEFAULT) for setting in SETTINGS},
        **layers.given,
        "MESHCTL_HOME": Given(str(home), layers.given["MESHCTL_HOME"].source),
        "CONFIG_PATH": Given(str(config_path), place.source),
        "AUTH_CONFIG_PATH": Given(str(auth_path), auth_place.source if auth_place else DEFAULT),
    }
    value = {setting.env: _value(setting, given[setting.env]) for setting in SETTINGS}
    return Config(
        home=home,
        config_path=config_path,
        auth_config_path=auth_path,
        port=value["PORT"],
        host=value["HOST"],
        tls=_tls(home, value),
        trusted_proxies=value["TRUSTED_PROXIES"],
        debug_port=value["DEBUG_PORT"] if value["ENABLE_DEBUG_SERVER"] else None,
        base_url=value["BASE_URL"],
        allowed_hosts=frozenset(value["ALLOWED_HOSTS"]),
        allowed_origins=frozenset(value["ALLOWED_ORIGINS"]),
        database=_database(home, value["DATABASE_URL"]),
        database_ssl=value["DATABASE_PG_SSL"],
        outbound_allow=value["OUTBOUND_ALLOW"],
        metrics_access=value["METRICS_ACCESS"],
        log_level=value["MESHCTL_LOG_LEVEL"],
        keep_events=value["MESHCTL_KEEP_EVENTS"],
        keep_calls=value["MESHCTL_KEEP_CALLS"],
        keep_waiting=value["MESHCTL_KEEP_WAITING"],
        key_lifetime=_lifetime(given, value),
        key_max_lifetime=value["MESHCTL_KEY_MAX_LIFETIME"],
        rate_limit=value["MESHCTL_RATE_LIMIT"],
        publish_rate=value["MESHCTL_PUBLISH_RATE"],
        keep_free=value["MESHCTL_KEEP_FREE"],
        master_key_command=value["MESHCTL_MASTER_KEY_COMMAND"],
        credentials=value["CREDENTIALS_DIRECTORY"],
        keyring=value["MESHCTL_KEYRING"],
        master_key_value=_secret(environ.get(MASTER_KEY, "")),
        otlp=config_otlp.read_otlp(value, environ.get(config_otlp.HEADERS, "")),
        given=given,
        env_files=paths,
        ignored=tuple(ignored),
    )


def _lifetime(given: Mapping[str, Given], value: Mapping[str, Any]) -> int | None:
    """How long keys live without a word, which is not longer than they may."""
    name, most = "MESHCTL_KEY_LIFETIME", value["MESHCTL_KEY_MAX_LIFETIME"]
    span: int | None = value[name]
    if span is not None and most is not None and span > most:
        why, said = f"{name} is longer than MESHCTL_KEY_MAX_LIFETIME", given[name]
        if said.path is not None:
            raise wrong(said.path, said.line, why)
        raise BadRequest(why)
    return span


def _tls(home: Path, value: Mapping[str, Any]) -> tuple[Path, Path] | None:
    """The certificate and its key; checks that nobody listens to the network without protection."""
    files = [home / value[name] for name in ("TLS_CERT", "TLS_KEY") if value[name] is not None]
    if len(files) == 1:
        raise BadRequest("TLS_CERT and TLS_KEY come together")
    host = value["HOST"]
    if not (files or value["TRUSTED_PROXIES"] or kinds.is_loopback(host)):
        raise BadRequest(
            f"HOST {host} is beyond loopback, where keys would travel in the clear",
            facts={"set": "TLS_CERT and TLS_KEY, or TRUSTED_PROXIES"},
        )
    return (files[0], files[1]) if files else None


class _Layers:
    """What was said, strongest first: a later word never replaces an earlier one."""

    def __init__(self) -> None:
        self.given: dict[str, Given] = {}

    def add(self, name: str, given: Given) -> None:
        """Take a word, unless it is empty or a stronger one was said."""
        if given.text.strip():
            self.given.setdefault(name, given)

    def add_env(self, path: Path) -> list[str]:
        """The lines of an env-file; the names in it that are no settings."""
        lines, ignored = read_env(path), []
        for line in reversed(lines):
            if line.name in _BY_NAME:
                self._add_line(path, line, line.name)
            else:
                ignored.append(line.name)
        return ignored

    def add_json(self, path: Path, names: Mapping[str, Setting], told_by: str | None) -> None:
        """The members of a file, each a setting by its name there.

        The file must exist where a setting, `told_by`, says that it does.
        """
        inner = {name[:at] for name in names for at, mark in enumerate(name) if mark == "."}
        try:
            lines = read_json(path, inner)
        except FileNotFoundError:
            if told_by is not None:
                facts = {told_by: str(path)}
                raise BadRequest("there is no such file", facts=facts) from None
            return
        for line in lines:
            if line.name not in names:
                valid = " ".join(n for n, s in names.items() if not (s.located or s.secret))
                raise wrong(path, line.line, "no setting has this name", key=shown(line.name),
                            valid=valid)  # fmt: skip
            self._add_line(path, line, names[line.name].env)

    def _add_line(self, path: Path, line: Line, name: str) -> None:
        if _BY_NAME[name].located:
            why = "this says where files are, and stands in no file"
            raise wrong(path, line.line, why, key=line.name)
        if _BY_NAME[name].secret:
            why = "a secret stands in no file of settings"
            raise wrong(path, line.line, why, key=line.name)
        self.add(name, Given(line.text, f"{path}:{line.line}", path, line.line))


def _shown(setting: Setting, text: str) -> str:
    return setting.kind.show(text.strip()) if text.strip() else text


def _secret(text: str) -> Secret | None:
    return Secret(text) if text.strip() else None


def _home(layers: _Layers) -> Path:
    given = layers.given.get("MESHCTL_HOME")
    if given is None:
        raise BadRequest("MESHCTL_HOME is not set", next="meshctl daemon start")
    home: Path = _value(_BY_NAME["MESHCTL_HOME"], given).absolute()
    if len(os.fsencode(home / SOCKET)) > SOCKET_BYTES:
        raise BadRequest(f"MESHCTL_HOME is too long: a socket's path has {SOCKET_BYTES} bytes")
    return home


def _database(home: Path, place: SqliteFile | PostgresServer | None) -> SqliteFile | PostgresServer:
    """Where the data is, with the whole path of a file."""
    if isinstance(place, PostgresServer):
        return place
    return SqliteFile(home / (place.path if place else Path("data", "mesh.db")))


def _value(setting: Setting, given: Given) -> Any:
    try:
        return setting.kind.value(given.text)
    except ValueError:
        pass
    text = shown(_shown(setting, given.text)[:100])
    valid = {"valid": setting.kind.form}
    if given.path is not None:
        why = f'{setting.env} "{text}" is not valid'
        raise wrong(given.path, given.line, why, key=setting.auth or setting.env.lower(), **valid)
    raise BadRequest(f'{setting.env} "{text}" is not valid', facts=valid)
