"""Which addresses may speak plain HTTP to the daemon, and which stand for many clients."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class Peers:
    """The loopback and the trusted proxies; with TLS, everybody.

    What a proxy says of its clients is not read: nothing here is decided by an address.
    """

    def __init__(self, proxies: Iterable[str] = (), *, everybody: bool = True) -> None:
        """`proxies` are addresses and CIDRs."""
        self._everybody = everybody
        self.trust(proxies)

    def trust(self, proxies: Iterable[str]) -> None:
        """Take these as the proxies, in place of those given before."""
        self._proxies = tuple(ip_network(proxy, strict=False) for proxy in proxies)

    def may_enter(self, address: str) -> bool:
        """Whether a connection from there is served. `address` is empty on a Unix socket."""
        if self._everybody or not address:
            return True
        return _address(address).is_loopback or self.is_proxy(address)

    def is_straight(self, address: str) -> bool:
        """Whether what comes from there is of this machine, and of no trusted proxy on it."""
        return bool(address) and _address(address).is_loopback and not self.is_proxy(address)

    def is_proxy(self, address: str) -> bool:
        """Whether many clients come from there."""
        if not self._proxies or not address:
            return False
        found = _address(address)
        return any(found in proxy for proxy in self._proxies)

    def is_single(self, address: str) -> bool:
        """Whether one client has it, as far as can be told; a tunnel may end on this machine."""
        return bool(address) and not _address(address).is_loopback and not self.is_proxy(address)


@lru_cache(maxsize=1024)
def _address(text: str) -> IPv4Address | IPv6Address:
    """An address as it was meant: a socket for both families shows IPv4 inside of IPv6."""
    found = ip_address(text.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found
