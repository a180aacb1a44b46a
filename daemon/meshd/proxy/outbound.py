"""The one factory of outbound HTTP: where the daemon may connect to, and with which settings."""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from meshd.wire.errors import BadRequest, UpstreamFailed

CONNECT_TIMEOUT = 30.0
IDLE_TIMEOUT = 300.0

METADATA = (
    ip_network("169.254.0.0/16"),  # AWS, Azure, GCP, OpenStack and others
    ip_network("fd00:ec2::254/128"),  # AWS over IPv6
    ip_network("100.100.100.200/32"),  # Alibaba
    ip_network("192.0.0.192/32"),  # Oracle
    ip_network("168.63.129.16/32"),  # Azure's host agent
)
METADATA_NAMES = frozenset({"metadata.google.internal", "metadata", "instance-data"})
"""Where clouds hand out machine credentials: never an MCP server unless an operator says so."""

_NAT64 = IPv6Network("64:ff9b::/96")


class OutboundRules:
    """Decides on hosts and addresses. `allow` holds host names, addresses and CIDRs."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks = []
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
        try:
            address = ip_address(name)
        except ValueError:
            if name in METADATA_NAMES:
                raise _refused(host) from None
            return
        if not self.allows(name, address):
            raise _refused(host)

    def allows(self, host: str, address: IPv4Address | IPv6Address) -> bool:
        """Whether `host` may be reached at `address`."""
        if host.lower().rstrip(".") in self._names:
            return True
        plain = _plain(address)
        if any(plain in net or address in net for net in self._networks):
            return True
        return not any(plain in net for net in METADATA)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside a mapped, 6to4 or NAT64 one."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _refused(host: str) -> BadRequest:
    return BadRequest(
        f"{host} is a cloud metadata address",
        facts={"why": "it hands out the machine's own credentials"},
        next=f"OUTBOUND_ALLOW={host} meshctl daemon restart",
    )


class _Resolver(AbstractResolver):
    """Resolves once and gives only checked addresses, so that what was checked is connected to."""

    def __init__(self, rules: OutboundRules) -> None:
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results: list[ResolveResult] = []
        for kind, _, proto, _, where in found:
            address = str(where[0])
            if self._rules.allows(host, ip_address(address.partition("%")[0])):
                results.append(
                    ResolveResult(
                        hostname=host,
                        host=address,
                        port=port,
                        family=kind,
                        proto=proto,
                        flags=socket.AI_NUMERICHOST,
                    )
                )
        if not results:
            raise OSError(f"{host} resolves only to addresses that are not allowed")
        return results

    async def close(self) -> None:
        """Nothing is held."""


def open_session(rules: OutboundRules) -> aiohttp.ClientSession:
    """A client session with one TLS context for all upstreams.

    No cookies, no proxies from the environment, no decompression, no total timeout: streams live
    long.
    """
    connector = aiohttp.TCPConnector(
        limit=0, resolver=_Resolver(rules), ttl_dns_cache=30, keepalive_timeout=30
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        raise_for_status=False,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=IDLE_TIMEOUT
        ),
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        max_line_size=16384,
        max_field_size=16384,
    )


def transport_failed(error: BaseException, where: str) -> UpstreamFailed:
    """The typed error for a connection that could not be made or broke. Holds no URL query."""
    reason = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or str(error.os_error)
    return UpstreamFailed(f"{where} cannot be reached: {reason[:200]}")
