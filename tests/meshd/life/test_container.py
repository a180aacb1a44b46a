"""The files for containers, read as an engine would. None is here, so none of them is run."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from meshd.core.config import SETTINGS, read_config
from meshd.core.database_url import PostgresServer

FOLDER = Path(__file__).parents[3] / "daemon" / "container"
ROOT = FOLDER.parents[1]
NAMES = {setting.env for setting in SETTINGS}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return made


@pytest.fixture(scope="module")
def containerfile() -> list[list[str]]:
    """Each instruction as its words, folded lines joined."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Containerfile").read_text(), flags=re.MULTILINE)
    return [line.split() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def variables(containerfile: list[list[str]]) -> dict[str, str]:
    words = [word for first, *rest in containerfile if first == "ENV" for word in rest]
    return dict(word.split("=", 1) for word in words)


def test_every_variable_is_a_setting(
    compose: dict[str, Any], containerfile: list[list[str]]
) -> None:
    assert set(compose["services"]["meshd"]["environment"]) <= NAMES
    assert set(variables(containerfile)) - {"PATH"} <= NAMES


def test_the_settings_are_valid_together(
    compose: dict[str, Any], containerfile: list[list[str]]
) -> None:
    """As the daemon reads them in the container, with the public name put in."""
    given = compose["services"]["meshd"]["environment"]
    filled = {n: re.sub(r"\$\{MESH_HOST[^}]*\}", "mesh.example", v) for n, v in given.items()}
    config = read_config(variables(containerfile) | filled)
    assert (config.host, config.base_url) == ("127.0.0.1", "https://mesh.example")
    proxied = (FOLDER / "Caddyfile").read_text()
    assert f"reverse_proxy {config.host}:{config.port} " in proxied
    assert f"http://{config.host}:{config.port}/health" in json.dumps(compose)


def test_only_the_proxy_reaches_the_daemon(compose: dict[str, Any]) -> None:
    """It shares the loopback; published is what the proxy serves, never the daemon's own port."""
    services = compose["services"]
    assert services["proxy"]["network_mode"] == "service:meshd"
    assert services["meshd"]["ports"] == ["80:80", "443:443"]
    assert "ports" not in services["proxy"]


def test_what_is_kept_lies_in_volumes(
    compose: dict[str, Any], containerfile: list[list[str]]
) -> None:
    home = variables(containerfile)["MESHCTL_HOME"]
    assert ["VOLUME", home] in containerfile
    assert compose["services"]["meshd"]["volumes"] == [f"mesh:{home}"]
    named = {volume.split(":")[0] for s in compose["services"].values() for volume in s["volumes"]}
    assert {name for name in named if not name.startswith(".")} == set(compose["volumes"])


@pytest.fixture(scope="module")
def shared() -> dict[str, Any]:
    """Two daemons on one Postgres."""
    made: dict[str, Any] = yaml.safe_load((FOLDER / "compose.postgres.yaml").read_text())
    return made


DAEMONS = ("first", "second")


def filled(environment: dict[str, str]) -> dict[str, str]:
    """With the public name and the password put in, as compose does."""
    named = {n: re.sub(r"\$\{MESH_HOST[^}]*\}", "mesh.example", v) for n, v in environment.items()}
    return {n: re.sub(r"\$\{POSTGRES_PASSWORD[^}]*\}", "pass", v) for n, v in named.items()}


def test_two_daemons_agree_with_their_database_and_their_proxy(
    shared: dict[str, Any], containerfile: list[list[str]]
) -> None:
    services = shared["services"]
    given = filled(services["postgres"]["environment"])
    proxied = (FOLDER / "Caddyfile.postgres").read_text()
    upstreams = re.search(r"reverse_proxy (.+) \{", proxied)
    assert upstreams is not None
    seen = []
    for name in DAEMONS:
        assert set(services[name]["environment"]) <= NAMES
        config = read_config(variables(containerfile) | filled(services[name]["environment"]))
        assert config.base_url == "https://mesh.example"
        assert isinstance(config.database, PostgresServer)
        parts = urlsplit(config.database.dsn.reveal())
        assert (parts.username, parts.password, parts.path) == (
            given["POSTGRES_USER"], given["POSTGRES_PASSWORD"], f"/{given['POSTGRES_DB']}",
        )  # fmt: skip
        assert parts.hostname == "postgres"
        assert f"http://127.0.0.1:{config.port}/health" in str(services[name]["healthcheck"])
        seen.append(f"{config.host}:{config.port}")
    assert upstreams[1].split() == seen
    assert "lb_policy header Authorization" in proxied


def test_two_daemons_share_the_key_and_no_home(
    shared: dict[str, Any], containerfile: list[list[str]]
) -> None:
    """The folder of the key belongs to the daemon's user in the image, which a volume takes over."""
    home = variables(containerfile)["MESHCTL_HOME"]
    services = shared["services"]
    assert [services[name]["volumes"] for name in DAEMONS] == [
        [f"{name}:{home}", f"keys:{home}/keys"] for name in DAEMONS
    ]
    made = next(words for words in containerfile if "useradd" in words)
    assert made[made.index("install") :][-2:] == [home, f"{home}/keys"]
    assert services["second"]["depends_on"] == {"first": {"condition": "service_healthy"}}
    named = {v.split(":")[0] for s in services.values() for v in s.get("volumes", [])}
    assert {name for name in named if not name.startswith(".")} == set(shared["volumes"])


def test_only_the_proxy_reaches_two_daemons(shared: dict[str, Any]) -> None:
    services = shared["services"]
    for name in (*DAEMONS, "proxy"):
        assert services[name]["network_mode"] == "service:loopback"
    assert [name for name, one in services.items() if "ports" in one] == ["loopback"]
    for volume in services["proxy"]["volumes"]:
        if volume.startswith("./"):
            assert (FOLDER / volume.split(":")[0]).is_file()


def test_what_is_copied_is_there(compose: dict[str, Any], containerfile: list[list[str]]) -> None:
    """And the daemon is no root in its container."""
    build = compose["services"]["meshd"]["build"]
    assert (FOLDER / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    copied = [
        words[1:-1] for words in containerfile if words[0] == "COPY" and "--from" not in words[1]
    ]
    assert all((ROOT / source).exists() for sources in copied for source in sources)
    assert ["USER", "mesh"] in containerfile
    for service in compose["services"].values():
        for volume in service["volumes"]:
            if volume.startswith("./"):
                assert (FOLDER / volume.split(":")[0]).is_file()
