"""What a channel is asked with, sealed in its row and bound to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

import orjson

from app.core.db import Session
from app.core.errors import NotFound
from app.core.reseal import Kept
from app.core.secrets import SealBroken, Sealer
from connectors.errors import AccessDenied

WEBHOOK_SECRETS = "webhook_secrets"  # the credential that holds them, newest first, space-separated


class Unreadable(Mapping[str, str]):
    """Credentials that can't be opened: looking into them is refused as a shop refuses a token, so that whatever is
    done with the shop fails as it does then, and with no other shop."""

    def __getitem__(self, name: str) -> str:
        _refuse()

    def __iter__(self) -> Iterator[str]:
        _refuse()

    def __len__(self) -> int:
        _refuse()


def _refuse(cause: SealBroken | None = None) -> NoReturn:
    raise AccessDenied("keys_unreadable", "what the shop's keys were sealed with is not here") from cause


def seal_credentials(sealer: Sealer, merchant_id: int, channel_id: int, credentials: Mapping[str, str]) -> bytes:
    """As they are stored."""
    return sealer.seal(orjson.dumps(dict(credentials)), bound_to=_bound(merchant_id, channel_id))


def unseal_credentials(sealer: Sealer, merchant_id: int, channel_id: int, sealed: bytes) -> dict[str, str]:
    """Decrypted; raises AccessDenied (`keys_unreadable`) when the row was tampered with or the key is gone."""
    try:
        plain = sealer.open(bytes(sealed), bound_to=_bound(merchant_id, channel_id))
    except SealBroken as broken:
        _refuse(broken)
    credentials: dict[str, str] = orjson.loads(plain)
    return credentials


def read_credentials(sealer: Sealer, session: Session, channel_id: int) -> dict[str, str]:
    """A channel's as stored now. Raises NotFound, AccessDenied."""
    sealed = session.value(
        "select sealed_credentials from channel where merchant_id = %(merchant_id)s and channel_id = %(id)s",
        id=channel_id,
    )
    if sealed is None:
        raise NotFound("unknown_channel", "no such channel")
    return unseal_credentials(sealer, session.merchant_id, channel_id, sealed)


def readable_credentials(sealer: Sealer, merchant_id: int, channel_id: int, sealed: bytes) -> dict[str, str]:
    """What can still be read of them: nothing when they can't be opened."""
    try:
        return unseal_credentials(sealer, merchant_id, channel_id, sealed)
    except AccessDenied:
        return {}


def write_credentials(sealer: Sealer, session: Session, channel_id: int, credentials: Mapping[str, str]) -> None:
    """Other credentials in the channel's row."""
    session.run(
        """update channel set sealed_credentials = %(sealed)s
           where merchant_id = %(merchant_id)s and channel_id = %(id)s""",
        id=channel_id, sealed=seal_credentials(sealer, session.merchant_id, channel_id, credentials),
    )  # fmt: skip


def _bound(merchant_id: int, channel_id: int) -> str:
    return f"channel:{merchant_id}:{channel_id}"


SEALED = (
    Kept(
        "channel",
        "sealed_credentials",
        {"channel_id": "bigint"},
        lambda merchant, row: _bound(merchant, row.channel_id),
    ),
)
