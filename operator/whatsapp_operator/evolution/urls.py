"""Which URLs and addresses the operator calls on behalf of whoever writes an `EvolutionServer`.

A tenant chooses the URL, the operator sends the key and stands inside the cluster's network: without rules a tenant
could have it call the node's metadata service, its own loopback, or the Kubernetes API. A name can be made to resolve
to such an address after it was checked (DNS rebinding), so `Rules.refuses` is asked twice: for a literal address in the
URL, and by the transport for each address right before it connects to it.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Flaw(enum.Enum):
    """What is wrong with a URL, as the end of a sentence that begins with `spec.url`."""

    INVALID = "is not a valid URL"
    SCHEME = "must begin with http:// or https://"
    USER_INFO = "must not contain a user name or password"
    QUERY = "must not contain a query"
    FRAGMENT = "must not contain a fragment"
    ADDRESS = "names an address that the operator does not call unless a flag allows it"


_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
"""Linux takes 0.0.0.0 for loopback."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_METADATA: frozenset[Address] = frozenset(
    {
        ipaddress.IPv6Address("fd00:ec2::254"),
        ipaddress.IPv6Address("fd20:ce::254"),
        ipaddress.IPv4Address("100.100.100.200"),
    }
)
"""Metadata services of AWS, Google Cloud and Alibaba Cloud at addresses that are not link-local."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The addresses that are not called, and the networks that a flag allows all the same."""

    allowed: tuple[Network, ...] = ()
    api_server: frozenset[Address] = frozenset()

    def flaw(self, url: str) -> Flaw | None:
        """What is wrong with the URL itself; a name in it is not resolved."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            return Flaw.INVALID
        return _flaw_of_form(url, parsed) or self._flaw_of_host(parsed.host)

    def refuses(self, address: str) -> bool:
        """Whether a literal address, with or without a zone, is one that the operator does not call."""
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return True
        return any(self._refuses(meant) for meant in _meanings(parsed))

    def _refuses(self, address: Address) -> bool:
        if any(address in network for network in self.allowed):
            return False
        return address in self.api_server or address in _METADATA or _is_special(address)

    def _flaw_of_host(self, host: str) -> Flaw | None:
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return None
        return Flaw.ADDRESS if self.refuses(host) else None


def _flaw_of_form(url: str, parsed: httpx.URL) -> Flaw | None:
    if parsed.scheme not in {"http", "https"}:
        return Flaw.SCHEME
    if parsed.userinfo or "@" in url:
        return Flaw.USER_INFO
    if "?" in url:
        return Flaw.QUERY
    if "#" in url:
        return Flaw.FRAGMENT
    # A backslash or a blank is where two parsers of one URL begin to disagree about its host.
    ambiguous = "\\" in url or any(letter.isspace() for letter in url)
    possible = parsed.host and (parsed.port is None or 0 < parsed.port < 65536)
    return None if possible and not ambiguous else Flaw.INVALID


def _is_special(address: Address) -> bool:
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _THIS_NETWORK
    )


def _meanings(address: Address) -> tuple[Address, ...]:
    """The address, or the IPv4 address inside it that a connection to it reaches."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (address, ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return (address,)
