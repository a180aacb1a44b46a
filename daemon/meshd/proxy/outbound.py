"""The one factory of outbound HTTP: where the daemon may connect to, and with which settings."""

import asyncio
import socket
from collections.abc import Iterable
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from meshd.proxy.dial import Trust
from meshd.proxy.http_pool import HttpPool
from meshd.wire.errors import BadRequest

IDLE_TIMEOUT = 300.0
"""Seconds of silence after which an upstream that owes an answer is given up."""

METADATA = (
    ip_network("169.254.0.0/16"),  # AWS, Azure, GCP, OpenStack and others
    ip_network("fe80::a9fe:a9fe/128"),  # OpenStack over IPv6
    ip_network("fd00:ec2::/32"),  # AWS over IPv6: instances, tasks, pods
    ip_network("fd20:ce::254/128"),  # GCP over IPv6
    ip_network("100.100.100.200/32"),  # Alibaba
    ip_network("192.0.0.192/32"),  # Oracle
    ip_network("168.63.129.16/32"),  # Azure's host agent
)
METADATA_NAMES = frozenset({"metadata.google.internal", "metadata", "instance-data"})
"""Where clouds hand out machine credentials: never an MCP server unless an operator says so."""

_EMBEDDING = (
    IPv6Network("64:ff9b::/96"),  # NAT64, RFC 6052
    IPv6Network("64:ff9b:1::/48"),  # NAT64 of a network's own, RFC 8215
    IPv6Network("::ffff:0:0:0/96"),  # translated, RFC 2765
    IPv6Network("::/96"),  # compatible, RFC 4291 section 2.5.5.1
)
"""IPv6 addresses whose last 32 bits are an IPv4 address."""


class OutboundRules:
    """Decides on hosts and addresses. `allow` holds host names, addresses and CIDRs."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self.allow(allow)

    def allow(self, allow: Iterable[str]) -> None:
        """Allow these, in place of those given before. Connections that stand are not cut."""
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for word in allow:
            try:
                self._networks.append(ip_network(word, strict=False))
            except ValueError:
                self._names.add(word.lower().rstrip("."))

    def check(self, host: str) -> None:
        """Refuse a host that is cloud metadata by name or by literal address.

        Raises:
            BadRequest: it is, and `OUTBOUND_ALLOW` does not name it.
        """
        name = host.lower().rstrip(".").strip("[]")
        if name in self._names:
            return
        address = _literal(name)
        refused = name in METADATA_NAMES if address is None else not self.allows(name, address)
        if refused:
            raise _refused(host)

    def allows(self, host: str, address: IPv4Address | IPv6Address) -> bool:
        """Whether `host` may be reached at `address`."""
        if host.lower().rstrip(".") in self._names:
            return True
        plain = _plain(address)
        if any(plain in net or address in net for net in self._networks):
            return True
        return not any(plain in net for net in METADATA)

    def allows_stranger(self, host: str, address: IPv4Address | IPv6Address) -> bool:
        """Whether somebody who is no operator may have `host` reached at `address`.

        Public addresses, and what `OUTBOUND_ALLOW` names.
        """
        plain = _plain(address)
        if self.allows(host, address) and plain.is_global and not plain.is_multicast:
            return True
        named = host.lower().rstrip(".") in self._names
        return named or any(plain in net or address in net for net in self._networks)


def _literal(name: str) -> IPv4Address | IPv6Address | None:
    """The address that `name` spells; the system also reads `2852039166` and `0xa9.0376.43518`."""
    try:
        return ip_address(name)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        return None


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside a mapped, 6to4, translated or NAT64 one."""
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and any(address in net for net in _EMBEDDING) and int(address) > 1:
            inside = IPv4Address(int(address) & 0xFFFFFFFF)
        return inside or address
    return address


def _refused(host: str) -> BadRequest:
    return BadRequest(
        f"{host} is a cloud metadata address",
        facts={"why": "it hands out the machine's own credentials"},
        next=f"OUTBOUND_ALLOW={host} meshctl daemon restart",
    )


async def addresses(
    rules: OutboundRules, host: str, port: int, *, stranger: bool = False
) -> list[str]:
    """What `host` resolves to, without what may not be connected to.

    `stranger`: it was named by somebody who is no operator.

    Raises:
        OSError: nothing, or nothing that is allowed.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(f"{host} is no host name") from None
    given = [str(where[0]) for _, _, _, _, where in found]
    # The scope of a link-local address (%eth0) is no part of what the rules name.
    test = rules.allows_stranger if stranger else rules.allows
    allowed = [a for a in given if test(host, ip_address(a.partition("%")[0]))]
    if not allowed:
        raise OSError(f"{host} resolves only to addresses that are not allowed")
    return allowed


def open_session(rules: OutboundRules, *, stranger: bool = False) -> HttpPool:
    """What all upstreams connect with; `stranger` for places that no operator named.

    No cookies, no proxies from the environment, no redirects, no decompression, and no limit on
    the whole time of an answer: streams live long.
    """
    return HttpPool(partial(addresses, rules, stranger=stranger), Trust(), patience=IDLE_TIMEOUT)
