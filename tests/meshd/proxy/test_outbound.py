"""Where the daemon may connect to: never to what hands out the machine's own credentials."""

import socket
from ipaddress import ip_address

import pytest

from meshd.proxy.outbound import OutboundRules, addresses
from meshd.wire.errors import BadRequest

SPELLINGS = [
    "169.254.169.254", "169.254.170.2", "169.254.0.1", "2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376", "169.254.43518", "169.16689662", "169.254.169.254.", "[::ffff:169.254.169.254]",
    "::ffff:a9fe:a9fe", "[0:0:0:0:0:ffff:a9fe:a9fe]", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
    "::ffff:0:a9fe:a9fe", "::a9fe:a9fe", "2002:a9fe:a9fe::1", "fe80::a9fe:a9fe", "fe80::a9fe:a9fe%25eth0",
    "fd00:ec2::254", "FD00:EC2::23", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    "metadata.google.internal", "Metadata.Google.Internal.", "metadata", "instance-data",
]  # fmt: skip
ALLOWED = [
    "127.0.0.1", "localhost", "10.0.0.5", "192.168.1.1", "[::1]", "::1", "::", "example.com", "169.253.0.1", "1.1.1.1",
    "2130706433", "::ffff:127.0.0.1", "metadata.example.com", "168.63.129.17", "fd00:ec3::254", "64:ff9b::7f00:1",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
def test_cloud_metadata_is_refused_however_it_is_spelt(host: str) -> None:
    """With the setting that would allow it."""
    with pytest.raises(BadRequest, match="metadata") as refused:
        OutboundRules().check(host)
    assert refused.value.next is not None
    assert "OUTBOUND_ALLOW" in refused.value.next


@pytest.mark.parametrize("host", ALLOWED)
def test_other_hosts_may_be_configured(host: str) -> None:
    """An MCP server on the loopback or in the local network is the usual case."""
    OutboundRules().check(host)


@pytest.mark.parametrize(
    ("word", "host", "fits"),
    [
        ("169.254.169.254", "169.254.169.254", True), ("169.254.169.0/24", "2852039166", True),
        ("169.254.169.254", "169.254.169.253", False), ("metadata.google.internal", "METADATA.google.internal.", True),
        ("metadata", "metadata.google.internal", False), ("fd00:ec2::/32", "fd00:ec2::254", True),
        ("169.254.0.0/16", "::ffff:169.254.1.1", True), ("::ffff:169.254.1.1", "::ffff:169.254.1.1", True),
        ("0.0.0.0/0", "fd00:ec2::254", False),
    ],
)  # fmt: skip
def test_an_operator_may_allow_exactly_what_is_named(word: str, host: str, fits: bool) -> None:
    rules = OutboundRules([word])
    if fits:
        rules.check(host)
    else:
        with pytest.raises(BadRequest):
            rules.check(host)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"]
)
async def test_what_was_stored_before_is_refused_when_it_is_connected_to(host: str) -> None:
    """The rules may have changed since; and the system reads more spellings than we do."""
    with pytest.raises(OSError, match="not allowed"):
        await addresses(OutboundRules(), host, 80)


async def test_a_name_that_leads_there_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a name resolves to is what counts, and only the allowed part of it is used."""
    answers = ["169.254.169.254", "10.0.0.5", "::ffff:169.254.169.254", "fe80::1%eth0"]

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in answers]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert await addresses(OutboundRules(), "rebind.example", 80) == ["10.0.0.5", "fe80::1%eth0"]
    assert await addresses(OutboundRules(["rebind.example"]), "Rebind.example.", 80) == answers
    del answers[1], answers[-1]
    with pytest.raises(OSError, match="not allowed"):
        await addresses(OutboundRules(), "rebind.example", 80)


async def test_a_name_that_is_none() -> None:
    with pytest.raises(OSError, match="no host name"):
        await addresses(OutboundRules(), "a" * 70 + ".example", 80)


def test_the_loopback_itself_is_no_embedded_address() -> None:
    for text in ("::1", "::"):
        assert OutboundRules().allows(text, ip_address(text))
