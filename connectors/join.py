"""How a shop is joined whose owner approves us in the shop itself, or brings keys by hand: what a vendor has to know.

A vendor that can do so has these methods beside those of `connectors.base.Connector`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from connectors.base import Shop
from connectors.http import Http

THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})  # nobody reads on the way


@dataclass(frozen=True, slots=True)
class Found:
    """A shop that answered. `moved_to`: it says that it lives elsewhere, which a person has to confirm."""

    base_url: str
    name: str
    moved_to: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """Where a shop's owner is to be sent to approve us. `state` comes back with the keys; `return_url` is where the
    browser goes afterwards, `callback_url` where the shop sends the keys."""

    state: str
    return_url: str
    callback_url: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Keys that a shop sent: for which state, and what they are. They prove nothing until they work at the shop."""

    state: str
    credentials: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a shop has to fulfil. `state`: pass, fail or unknown. `reason`: why it fails, a slug."""

    name: str
    state: str
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look over a shop found: each requirement, and the facts that it told, for `Shop.facts`; none where it told
    nothing."""

    requirements: Sequence[Requirement]
    facts: Mapping[str, str] = field(default_factory=dict)


def encrypted(base_url: str) -> Requirement:
    """Whether nobody on the way can read or change what is said."""
    address = urlsplit(base_url)
    safe = address.scheme == "https" or address.hostname in THIS_MACHINE
    return Requirement("encrypted", "pass") if safe else Requirement("encrypted", "fail", "not_encrypted")


@runtime_checkable
class Leaves(Protocol):
    """A vendor whose shops can be told to ring no more."""

    def leave(self, http: Http, shop: Shop, url: str) -> int:
        """Take back our webhooks that deliver to `url`; how many. Raises ChannelError."""


@runtime_checkable
class Joins(Leaves, Protocol):
    """A vendor whose shops are found by their address."""

    def plain_address(self, text: str) -> str:
        """What a person typed or copied, as the shop's base address; not yet checked."""

    def find_shop(self, http: Http, base_url: str, *, allow_loopback: bool) -> Found:
        """Who answers there, asked without keys. Raises ChannelError: what is in the way, each by its own reason."""

    def approval_url(self, base_url: str, approval: Approval) -> str:
        """The shop's own page on which its owner approves us."""

    def read_grant(self, body: bytes) -> Grant:
        """What the shop sent to our callback. Raises `Malformed`."""

    def read_keys(self, typed: Mapping[str, str]) -> Mapping[str, str]:
        """Credentials from what a person typed. Raises `Malformed` with the field that is wrong."""

    def prove(self, http: Http, shop: Shop) -> None:
        """That the shop's credentials are its own: they work there, for all that is needed. Raises ChannelError."""


@runtime_checkable
class Checks(Protocol):
    """A vendor whose shops can be looked over."""

    def check(self, http: Http, shop: Shop) -> Looked:
        """Each requirement with how things stand, asked now; what could not be asked is unknown. Raises nothing that a
        shop does."""
