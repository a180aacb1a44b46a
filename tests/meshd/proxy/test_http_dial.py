"""Where connections lead: names resolved once and checked, and TLS to whom it should be."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshd.proxy.dial import Dialer, Trust
from meshd.proxy.http_head import Place
from meshd.proxy.outbound import OutboundRules, addresses, open_session
from meshd.wire.errors import UpstreamFailed, UpstreamTimeout
from tests.meshd.proxy.http_servers import (
    DEADLINE,
    HELLO,
    Peer,
    Server,
    answering,
    ask,
    at,
    on_both_loops,
    pool,
    running,
    serving,
)

Contexts = tuple[ssl.SSLContext, Callable[[], ssl.SSLContext]]


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """A server's context for `localhost` and its addresses, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    names = [
        x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(pem + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)

    def trusting() -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=pem.decode())
        context.set_alpn_protocols(["http/1.1"])
        return context

    return server, trusting


@on_both_loops
@pytest.mark.parametrize("host", ["localhost", "localhost.", "127.0.0.1"])
async def test_tls_to_a_trusted_server(certified: Contexts, host: str) -> None:
    """By name and by address; connections are kept as others are."""
    server_side, trusting = certified
    asked: list[Any] = []
    server_side.sni_callback = lambda _, name, __: asked.append(name)
    trust = Trust(trusting)
    async with running(answering(HELLO), server_side) as server, pool(trust=trust) as clients:
        upstream = at(clients, server.url(host))
        assert await ask(upstream) == (200, b"hi")
        assert await ask(upstream) == (200, b"hi")
        assert server.connections == 1
    assert asked == ["localhost" if host.startswith("local") else None]


@on_both_loops
async def test_a_large_answer_over_tls(certified: Contexts) -> None:
    """With a reader that makes the server wait."""
    size = 4 << 20
    body = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    trust = Trust(certified[1])
    async with running(answering(body), certified[0]) as server, pool(trust=trust) as clients:
        assert await ask(at(clients, server.url())) == (200, bytes(size))


@on_both_loops
async def test_an_untrusted_server_is_refused(certified: Contexts) -> None:
    """By the context that the daemon makes itself; it hears no request."""
    async with running(answering(HELLO), certified[0]) as server, pool() as clients:
        with pytest.raises(
            UpstreamFailed, match="srv cannot be reached: its certificate is not trus"
        ):
            await ask(at(clients, server.url()))
    assert server.seen == []


@on_both_loops
async def test_another_name_than_the_certificates_is_refused(certified: Contexts) -> None:
    trust = Trust(certified[1])
    async with running(answering(HELLO), certified[0]) as server, pool(trust=trust) as clients:
        with pytest.raises(UpstreamFailed, match="not trusted: Hostname mismatch"):
            await ask(at(clients, server.url("elsewhere.example")))
    assert server.seen == []


@on_both_loops
async def test_a_server_without_tls_is_refused(certified: Contexts) -> None:
    """It is said that TLS failed, not that nobody is there."""

    async def serve(_: Server, peer: Peer) -> None:
        peer.writer.write(b"220 no TLS here\r\n")
        await peer.until_closed()

    async with running(serving(serve)) as server, pool(trust=Trust(certified[1])) as clients:
        server.tls = True
        with pytest.raises(UpstreamFailed, match="srv cannot be reached: TLS failed"):
            await ask(at(clients, server.url()))


@on_both_loops
async def test_a_handshake_that_does_not_end_is_given_up(certified: Contexts) -> None:
    """In the time that there is for connecting, and the server sees the end."""
    ended = asyncio.Event()

    async def serve(_: Server, peer: Peer) -> None:
        await peer.until_closed()
        ended.set()

    async with running(serving(serve)) as server:
        server.tls = True
        async with pool(trust=Trust(certified[1]), connect_patience=0.1) as clients:
            with pytest.raises(UpstreamTimeout, match="srv could not be reached in time"):
                await ask(at(clients, server.url()))
            await asyncio.wait_for(ended.wait(), DEADLINE)


@on_both_loops
async def test_one_context_serves_all() -> None:
    """It is made once, when the first needs it, away from the event loop."""
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        made.append(ssl.create_default_context())
        return made[-1]

    trust = Trust(make)
    found = await asyncio.gather(*(trust.context() for _ in range(5)))
    assert len(made) == 1
    assert set(map(id, found)) == {id(made[0])}


@on_both_loops
async def test_the_first_address_that_answers_is_taken() -> None:
    """A name often has one that does not."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    async with running(answering(HELLO)) as server, pool(resolve) as clients:
        assert await ask(at(clients, server.url("host"))) == (200, b"hi")


@on_both_loops
async def test_addresses_are_remembered() -> None:
    """For a while, until none of them answers any more; and they are asked for one at a time."""
    asked: list[str] = []
    given = ["127.0.0.1"]

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        await asyncio.sleep(0)
        return given

    async with running(answering(HELLO)) as server:
        dialer = Dialer(Place(False, "host", server.port), resolve, Trust(), 1)
        made = await asyncio.gather(*(dialer.connect(asyncio.Protocol) for _ in range(3)))
        assert len(made) == 3
        assert asked == ["host"]
        dialer._addresses = ["256.0.0.1"]
        with pytest.raises(OSError):
            await dialer.connect(asyncio.Protocol)
        await dialer.connect(asyncio.Protocol)
        assert asked == ["host"] * 2


@on_both_loops
async def test_ipv6() -> None:
    """An address in brackets, where the machine has it."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    async with (
        running(answering(HELLO), host="::1") as server,
        open_session(OutboundRules()) as clients,
    ):
        assert await ask(at(clients, server.url("[::1]"))) == (200, b"hi")
    assert f"\r\nHost: [::1]:{server.port}\r\n".encode() in server.seen[0]


def answer_with(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    """Let every name resolve to these addresses."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, 1, 6, "", (a, port)) for a in found
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


@on_both_loops
async def test_only_allowed_addresses_are_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to a machine's credentials leads nowhere, unless an operator says so."""
    answer_with(
        monkeypatch, "169.254.169.254", "10.0.0.1", "fe80::1%eth0", "::ffff:169.254.169.254"
    )
    assert await addresses(OutboundRules(), "host", 80) == ["10.0.0.1", "fe80::1%eth0"]
    assert len(await addresses(OutboundRules(["host"]), "host", 80)) == 4
    answer_with(monkeypatch, "169.254.169.254")
    with pytest.raises(OSError, match="not allowed"):
        await addresses(OutboundRules(), "host", 80)


@on_both_loops
async def test_a_forbidden_address_is_a_typed_error() -> None:
    """Also where the URL names it itself."""
    async with open_session(OutboundRules()) as clients:
        with pytest.raises(UpstreamFailed, match="addresses that are not allowed"):
            await ask(at(clients, "http://169.254.169.254/"))


@on_both_loops
async def test_a_name_that_is_none_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the resolver says is passed on."""

    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    async with open_session(OutboundRules()) as clients:
        with pytest.raises(
            UpstreamFailed, match="srv cannot be reached: Name or service not known"
        ):
            await ask(at(clients, "http://nowhere.invalid/"))
