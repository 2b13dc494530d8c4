"""A port for a pretend shop that has to know its own address before it opens."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Nobody listens there now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
