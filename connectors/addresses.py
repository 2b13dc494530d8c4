"""Which addresses that a person gives may be called: public ones, by https or http, at a web server's port.

`check_public_url` says it in words before anything is stored; `connectors.guarded` says it again of the address that is
really connected to, since a name may answer differently a moment later.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES

from connectors.errors import Refused, Transient

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[..., Sequence[tuple[Any, ...]]]
URL_MAX = 1_000
HOST_MAX = 253
SCHEMES = ("https", "http")
PORTS = frozenset({80, 443, 8080, 8443})
# Reached from inside a cloud although the address is a public one: Azure's host.
HOSTS_OF_CLOUDS = frozenset({ipaddress.ip_address("168.63.129.16")})
_UNICAST = ipaddress.ip_network("2000::/3")  # all that is given out of IPv6; whatever embeds IPv4 lies elsewhere
# A browser reads a host whose last part is a number as IPv4, in any of inet_aton's spellings.
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\.?\Z", re.IGNORECASE)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?\Z")
_NOT_ALLOWED = "this address is inside a private network or on this machine: give the shop's public address"


def check_public_url(
    url: str,
    *,
    allow_loopback: bool = False,
    schemes: Collection[str] = SCHEMES,
    resolve: Resolve = socket.getaddrinfo,
) -> str:
    """The address in its plain form: scheme and host in lower case, no trailing slash, no fragment.

    Raises `Refused` (reason `bad_address`, `scheme_not_allowed`, `address_with_password`, `port_not_allowed`,
    `address_not_allowed`) and `Transient("unknown_host")`. `allow_loopback` also admits this machine, at any port.
    """
    parts = _split(url, schemes)
    host = _plain_host(parts.hostname or "")
    addresses = _resolved(host, resolve)
    local = allow_loopback and all(_unmapped(address).is_loopback for address in addresses)
    if not local and not all(map(is_public, addresses)):
        raise Refused("address_not_allowed", _NOT_ALLOWED)
    if not local and parts.port is not None and parts.port not in PORTS:
        ports = ", ".join(map(str, sorted(PORTS)))
        raise Refused("port_not_allowed", f"only a web server's ports are called: {ports}")
    scheme = parts.scheme.lower()
    default = {"https": 443, "http": 80}.get(scheme)
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if parts.port in (None, default) else f"{shown}:{parts.port}"
    return urlunsplit((scheme, netloc, parts.path.rstrip("/"), parts.query, ""))


def is_public(address: Address) -> bool:
    """Whether the address is one of the open internet's: not ours, not a neighbour's, not a translation of such."""
    address = _unmapped(address)
    if address in HOSTS_OF_CLOUDS or any(address in net for net in EXTRA_BLOCKED_NET_RANGES):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_allowed(address: Address, *, allow_loopback: bool) -> bool:
    """Public, or this machine where that is allowed."""
    return is_public(address) or (allow_loopback and _unmapped(address).is_loopback)


def _unmapped(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _split(url: str, schemes: Collection[str]) -> SplitResult:
    if not url or not url.isprintable() or any(character in url for character in " \\<>\"'") or len(url) > URL_MAX:
        raise Refused("bad_address", "give an address like https://shop.example.com")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no number
    except ValueError:
        raise Refused("bad_address", "give an address like https://shop.example.com") from None
    if parts.scheme.lower() not in schemes:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise Refused("scheme_not_allowed", f"give an address that begins with {wanted}")
    if "@" in parts.netloc:
        raise Refused("address_with_password", "give the address without a user name or password in it")
    if not parts.hostname:
        raise Refused("bad_address", "the address names no host: give one like https://shop.example.com")
    return parts


def _plain_host(host: str) -> str:
    """The host in ASCII; an odd spelling of an IPv4 address as four numbers."""
    if ":" in host:
        if "%" in host:
            raise Refused("address_not_allowed", _NOT_ALLOWED)
        return _literal(host)
    if _NUMBER.search(host.rpartition(".")[2] or host.rstrip(".").rpartition(".")[2]):
        try:
            return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
        except OSError:
            raise Refused("bad_address", "the address names no host that there can be") from None
    try:
        plain = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    if len(plain) > HOST_MAX or not _NAME.match(plain.lower()):
        raise Refused("bad_address", "the address names no host that there can be")
    return plain.lower().rstrip(".")


def _literal(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise Refused("bad_address", "the address names no host that there can be") from None


def _resolved(host: str, resolve: Resolve) -> list[Address]:
    """Every address of the name: one that is not allowed spoils the others."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = resolve(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Transient("unknown_host", "there is no such host: look for a typing mistake in the address") from None
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    if not addresses:
        raise Transient("unknown_host", "there is no such host: look for a typing mistake in the address")
    return addresses
