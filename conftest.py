"""Two promises for every test: nothing reaches beyond this machine, and a test that is left out is named.

The network guard is an audit hook, so it also sees sockets that a library opens by itself.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
IN_CI = os.environ.get("PERPETUAL_CI") == "1"
WITHOUT_CHROMIUM = not CHROMIUM.exists() and not IN_CI
_left_out: list[str] = []


class NetworkReached(RuntimeError):
    """A test tried to leave the machine."""


def _is_local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    try:
        return ipaddress.ip_address(name.split("%")[0]).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _is_address(host: object) -> bool:
    try:
        ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return True


def _guard_network(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_local(address[0]):
            raise NetworkReached(f"connection to {address[0]}")
    if event == "socket.getaddrinfo" and not (_is_local(arguments[0]) or _is_address(arguments[0])):
        raise NetworkReached(f"look-up of {arguments[0]!r}")


sys.addaudithook(_guard_network)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out browser tests where there is no Chromium; in CI they run, and fail."""
    if not WITHOUT_CHROMIUM:
        return
    for item in items:
        if item.get_closest_marker("browser"):
            _left_out.append(item.nodeid)
            item.add_marker(pytest.mark.skip(reason=f"{CHROMIUM} is missing"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say plainly what did not run."""
    if WITHOUT_CHROMIUM:
        count = f"{len(_left_out)} " if _left_out else ""
        terminalreporter.write_line(f"{count}browser tests were left out: {CHROMIUM} is missing.", yellow=True)
