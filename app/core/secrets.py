"""Secrets at rest: AES-256-GCM, bound to the row that holds them.

A sealed value opens only with the key that its header names and only for the row it was sealed for, so a token copied
into another merchant's row is refused. Rotation: add a key, make it active, `app.core.reseal` seals all of it again.

    sealed = 1 | length of key id | key id | nonce (12) | ciphertext and tag
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.core.errors import ConfigError, Fault, PerpetualError

KEY_BYTES = 32
KEY_ID_MAX = 32
_VERSION = 1
_NONCE_BYTES = 12
_TAG_BYTES = 16
_CANARY, _CANARY_ROW = b"perpetual", "canary"


class SealBroken(PerpetualError):
    """A sealed value can't be opened. `reason`: `not_sealed`, `unknown_key`, `not_authentic`."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals with the `active` key, opens with any of `keys` (key id → 32 bytes). Shows neither when printed."""

    keys: Mapping[str, bytes] = field(repr=False)
    active: str
    random_bytes: Callable[[int], bytes] = field(default=os.urandom, repr=False)

    def __post_init__(self) -> None:
        for key_id, key in self.keys.items():
            if not (key_id.isascii() and 0 < len(key_id) <= KEY_ID_MAX and len(key) == KEY_BYTES):
                raise ConfigError([Fault("bad_key", f"key {key_id!r} is not {KEY_BYTES} bytes under a short name")])
        if self.active not in self.keys:
            raise ConfigError([Fault("no_active_key", f"there is no key {self.active!r}")])

    @property
    def header(self) -> bytes:
        """What begins everything that the active key seals."""
        return bytes([_VERSION, len(self.active)]) + self.active.encode()

    def seal(self, plain: bytes, *, bound_to: str) -> bytes:
        """Encrypt for one row; `bound_to` names it for ever (such as `install:<merchant_id>:<id>:token`)."""
        header = self.header
        nonce = self.random_bytes(_NONCE_BYTES)
        return header + nonce + AESGCM(self.keys[self.active]).encrypt(nonce, plain, _bound(header, bound_to))

    def open(self, sealed: bytes, *, bound_to: str) -> bytes:
        """Decrypt what was sealed for this row, else raise `SealBroken`."""
        key_id, header, rest = _split(sealed)
        key = self.keys.get(key_id)
        if key is None:
            raise SealBroken("unknown_key", f"it was sealed with key {key_id!r}, which is not configured", bound_to)
        try:
            return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _bound(header, bound_to))
        except InvalidTag:
            detail = f"key {key_id!r} has another value now, or the sealed bytes were changed or belong to another row"
            raise SealBroken("not_authentic", detail, bound_to) from None

    def needs_reseal(self, sealed: bytes) -> bool:
        """Whether another key than the active one sealed it."""
        return sealed_by(sealed) != self.active

    def canary(self) -> bytes:
        """A sealed word to keep in the database, so that a wrong key is noticed at start and not at the first push."""
        return self.seal(_CANARY, bound_to=_CANARY_ROW)

    def check(self, canary: bytes) -> None:
        """Open the stored canary; `ConfigError` when these keys are not the ones that sealed the database."""
        try:
            self.open(canary, bound_to=_CANARY_ROW)
        except SealBroken as broken:
            detail = f"these keys do not open this database: {broken.detail}. Put the former key back"
            raise ConfigError([Fault(broken.reason, detail, "security.encryption_keys")]) from broken


def sealed_by(sealed: bytes) -> str:
    """The id of the key that sealed it. Raises SealBroken for what is not a sealed value."""
    return _split(sealed)[0]


def _split(sealed: bytes) -> tuple[str, bytes, bytes]:
    start = 2 + (sealed[1] if len(sealed) > 1 else 0)
    header, rest = sealed[:start], sealed[start:]
    if len(rest) < _NONCE_BYTES + _TAG_BYTES or header[0] != _VERSION or not header[2:].isascii():
        raise SealBroken("not_sealed", "these bytes are not a sealed value")
    return header[2:].decode("ascii"), header, rest


def _bound(header: bytes, bound_to: str) -> bytes:
    return header + b"\0" + bound_to.encode()
