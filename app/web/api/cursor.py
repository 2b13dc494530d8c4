"""Cursors: where a page ended, sealed against change and bound to the merchant, the route and its filters.

A cursor says nothing to a client and can't be made up: what it opens to was written here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.core.errors import InvalidInput

CURSOR_MAX = 4_000
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Cursors:
    """Makes and opens the cursors of one list; `bound` names merchant, route and filters."""

    secret: bytes = field(repr=False)
    bound: str

    def make(self, position: Any) -> str:
        """A position (numbers, texts, lists of them) as a cursor."""
        payload = orjson.dumps(position)
        return base64.urlsafe_b64encode(self._mac(payload) + payload).rstrip(b"=").decode("ascii")

    def open(self, cursor: str | None) -> Any:
        """The position, None without a cursor; raises InvalidInput for any that was not made for this list."""
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload)):
            raise InvalidInput("bad_cursor", "take next_cursor of the page before, with the same filters", "cursor")
        return orjson.loads(payload)

    def _mac(self, payload: bytes) -> bytes:
        message = self.bound.encode() + b"\0" + payload
        return hmac.digest(self.secret, message, hashlib.sha256)[:_MAC_BYTES]
