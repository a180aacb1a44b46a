"""A daemon's settings from files, and taking over changed ones while it runs."""

import json
import os
import signal
from collections.abc import Iterator

import pytest

from meshd.services.settings import LIVE
from tests.support.daemon import Daemon
from tests.support.starting import begin, refuse
from tests.support.wait import until

CHANGED = {
    "allowed_hosts": ["more.example"], "allowed_origins": "https://more.example",
    "outbound_allow": ["169.254.169.254"], "meshctl_log_level": "debug",
    "meshctl_keep_events": "1d", "meshctl_keep_calls": "2d", "meshctl_keep_waiting": "3d", "base_url": "https://later.example",
    "meshctl_rate_limit": 2, "meshctl_publish_rate": 9, "meshctl_keep_free": 1, "trusted_proxies": ["10.0.0.1"],
    "metrics_access": "open", "auth": {"keys": {"default_lifetime": "7d", "max_lifetime": "8d"}},
}  # fmt: skip


@pytest.fixture
def home() -> Iterator[Daemon]:
    """A home in which nothing runs yet."""
    made = Daemon.fresh()
    yield made
    made.remove()


def write(home: Daemon, **settings: object) -> None:
    (home.home / "config.json").write_text(json.dumps(settings))


def reloaded(home: Daemon) -> list[dict[str, object]]:
    """What the events say about settings that were read again."""
    lines = home.ask("GET", "/v1/tail/events?follow=false&filter=type%3Dmesh.config.*").body
    return [json.loads(line)["data"] for line in lines.splitlines() if line.strip()]


def test_files_are_read_at_the_start_and_again_at_a_signal(home: Daemon) -> None:
    """What is live holds at once, at every door; the rest is named and waits."""
    env = home.home / "some.env"
    env.write_text("ALLOWED_HOSTS=env.example\nNOBODYS=1\n")
    write(home, port=0, allowed_hosts="file.example")
    begin(home, "--env-file", str(env))
    assert home.tcp("GET", "/health", Host="env.example").status == 200
    assert home.tcp("GET", "/health", Host="file.example").status == 421
    assert "NOBODYS" in (home.home / "logs/meshd.log").read_text()
    metadata = {"name": "m", "url": "http://169.254.169.254/"}
    assert home.ask("POST", "/v1/connections", metadata).status == 400

    env.write_text("")
    write(home, port=0, **CHANGED)
    os.kill(home.pid, signal.SIGHUP)
    until(lambda: reloaded(home))
    (said,) = reloaded(home)
    assert set(said["changed"]) == LIVE
    assert said["needs_restart"] == ["BASE_URL"]
    assert home.tcp("GET", "/health", Host="env.example").status == 421
    assert home.tcp("GET", "/health", Host="more.example").status == 200
    assert home.tcp("GET", "/health", Host="later.example").status == 421
    assert home.tcp("GET", "/health", Origin="https://more.example").status == 200
    shown = {row["name"]: row for row in home.control("GET", "/v1/daemon")["settings"]}
    assert shown["MESHCTL_KEEP_CALLS"]["value"] == "2d"
    assert shown["BASE_URL"]["value"] == ""
    assert "BASE_URL" in (home.home / "logs/meshd.log").read_text()


def test_a_key_that_calls_too_often_is_told_when_to_come_back(home: Daemon) -> None:
    """At once after the signal; another key and the socket have their own count, or none."""
    begin(home, "--port", "0")
    one, other = home.add_key("one"), home.add_key("other")
    assert [home.rpc("nothing", "ping", key=one).status for _ in range(4)] == [404] * 4
    write(home, meshctl_rate_limit=2)
    os.kill(home.pid, signal.SIGHUP)
    until(lambda: reloaded(home))
    answers = [home.rpc("nothing", "ping", key=one) for _ in range(3)]
    assert [answer.status for answer in answers] == [404, 404, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 30
    assert answers[2].json()["error"]["data"]["code"] == "rate_limited"
    assert home.rpc("nothing", "ping", key=other).status == 404
    assert home.ask("GET", "/v1/status").status == 200


def test_files_that_are_wrong_change_nothing_while_it_runs(home: Daemon) -> None:
    """And the log says where; the next signal finds them mended."""
    begin(home, "--port", "0")
    log = home.home / "logs" / "meshd.log"
    (home.home / "config.json").write_text('{\n"allowed_hosts": 1.5}')
    os.kill(home.pid, signal.SIGHUP)
    until(lambda: "stay as they were" in log.read_text())
    assert "line=2" in log.read_text()
    assert home.tcp("GET", "/health").status == 200
    write(home, allowed_hosts="mended.example")
    os.kill(home.pid, signal.SIGHUP)
    until(lambda: home.tcp("GET", "/health", Host="mended.example").status == 200)
    until(lambda: len(reloaded(home)) == 1)


@pytest.mark.parametrize("text", ['{\n"prot": 1}', '{\n"port": "many"}', "{\n"])
def test_a_daemon_does_not_start_with_a_wrong_file(home: Daemon, text: str) -> None:
    """Exit 2, with the file and the line."""
    (home.home / "config.json").write_text(text)
    refused = refuse(home)
    assert refused.code == 2
    assert refused.told["error"]["facts"]["line"] == "2"
    assert f"file: {home.home}/config.json\n" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (home.home / "data").exists()


def test_env_files_are_kept_over_a_restart_of_their_list(home: Daemon) -> None:
    """`daemon restart` asks for them."""
    env = home.home / "some.env"
    env.write_text("MESHCTL_LOG_LEVEL=debug\n")
    begin(home, "--port", "0", "--env-file", str(env))
    assert home.control("GET", "/v1/daemon")["env_files"] == [str(env)]
