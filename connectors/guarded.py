"""A session that connects to public addresses only, whatever the name said a moment ago.

Each request resolves the name once, judges that address, and connects to it and no other (requests-hardened pins it,
with the name kept for TLS), so that a name which answers differently the second time gains nothing. Redirects are not
followed. Proxies and credentials of the environment are not looked at: a proxy would resolve the name again.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import requests
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter

from connectors.addresses import PORTS, is_allowed

TIMEOUT_S = (5.0, 30.0)  # where a caller says none


class GuardedAdapter(IPFilterAdapter):  # type: ignore[misc]  # published without types
    """Judges the pinned address a second time by our own rule, which is stricter, and the port."""

    def __init__(self, *, https: bool, allow_loopback: bool) -> None:
        super().__init__(is_https_proto=https, allow_loopback=allow_loopback)
        self._loopback = allow_loopback

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: bool | str, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Where to connect. Raises `InvalidIPAddress`."""
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        address = ipaddress.ip_address(str(host["host"]).strip("[]").partition("%")[0])
        if not is_allowed(address, allow_loopback=self._loopback):
            raise InvalidIPAddress("address not allowed")
        if not address.is_loopback and host["port"] is not None and host["port"] not in PORTS:
            raise InvalidIPAddress("port not allowed")
        return host, pool


def guarded_session(*, allow_loopback: bool) -> requests.Session:
    """A new one. `allow_loopback` admits this machine, for the demo and tests."""
    config = Config(
        ip_filter_enable=False,  # by our own adapter
        ip_filter_allow_loopback_ips=allow_loopback,
        never_redirect=True,
        default_timeout=TIMEOUT_S,
    )
    session: requests.Session = HTTPSession(config)
    session.trust_env = False
    session.mount("https://", GuardedAdapter(https=True, allow_loopback=allow_loopback))
    session.mount("http://", GuardedAdapter(https=False, allow_loopback=allow_loopback))
    return session
