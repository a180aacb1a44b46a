"""TLS on the daemon's own port: what is spoken, what is refused, a renewal without a restart."""

import os
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from meshd.core.http_limits import Limits
from tests.support.certificates import write_certificate
from tests.support.daemon import Daemon
from tests.support.scrape import scrape
from tests.support.starting import refuse
from tests.support.wait import until


@pytest.fixture
def home() -> Iterator[Daemon]:
    """A home with a certificate, in which nothing runs yet."""
    made = Daemon.fresh(TLS_CERT="mesh.pem", TLS_KEY="mesh.pem")
    renew(made)
    yield made
    made.remove()


def renew(home: Daemon) -> None:
    file = write_certificate(home.home / "mesh.pem")
    home.trust = ssl.create_default_context(cafile=str(file))


def dial(home: Daemon) -> socket.socket:
    parts = urlsplit(home.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def test_a_key_calls_over_tls_alone(home: Daemon) -> None:
    """The URL says so; plain HTTP on the port gets no answer."""
    home.start()
    assert home.url.startswith("https://127.0.0.1:")
    home.add_key("ci")
    assert home.tcp("GET", "/health").status == 200
    with closing(dial(home)) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"HTTP/" not in plain.recv(1000)


def test_connections_that_never_say_hello_are_limited_as_all_strangers(home: Daemon) -> None:
    """The oldest are hung up on while others are served, and their places come back."""

    def inside() -> int:
        return int(scrape(home).one("meshd_http_connections", door="tcp")) - 1  # but for this one

    home.env["METRICS_ACCESS"] = "loopback"
    home.start()
    most, surplus = Limits().strangers, 16
    with ExitStack() as stack:
        wires = [stack.enter_context(closing(dial(home))) for _ in range(most + surplus)]
        assert [wire.recv(1) for wire in wires[:surplus]] == [b""] * surplus
        assert inside() == most
        assert home.tcp("GET", "/health").status == 200
    until(lambda: inside() == 0)


def test_a_renewed_certificate_is_taken_over(home: Daemon) -> None:
    """At SIGHUP; one that cannot be read leaves the old one in use."""
    home.start()
    file = home.home / "mesh.pem"
    whole = file.read_bytes()
    file.write_bytes(b"nothing of that kind")
    os.kill(home.pid, signal.SIGHUP)
    log = home.home / "logs/meshd.log"
    until(lambda: "the settings stay as they were" in log.read_text())
    assert home.tcp("GET", "/health").status == 200

    renew(home)
    assert file.read_bytes() != whole
    with pytest.raises(ssl.SSLCertVerificationError):
        home.tcp("GET", "/health")
    os.kill(home.pid, signal.SIGHUP)
    until(lambda: "read the settings again" in log.read_text())
    assert home.tcp("GET", "/health").status == 200


@pytest.mark.parametrize("content", [None, b"", b"no PEM"])
def test_a_certificate_that_cannot_be_used_is_named(home: Daemon, content: bytes | None) -> None:
    file = home.home / "mesh.pem"
    file.unlink() if content is None else file.write_bytes(content)
    refused = refuse(home, "--port", "0")
    assert refused.code == 2
    assert refused.told["error"]["facts"]["TLS_CERT"] == str(file)
