"""Passwords as argon2id hashes: made here, checked here, never kept.

A password is the NFKC form of what was typed, so that one keyboard's é opens what another's closed. A check against a
missing user costs what a check against a real one costs.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.core.errors import InvalidInput

PASSWORD_BYTES_MAX = 1_024
PASSWORD_LENGTH_MIN = 10

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """The argon2id hash to store. `InvalidInput`: `password_too_short`, `password_too_long`, `password_unreadable`."""
    normal = _normal(password)
    if len(normal) < PASSWORD_LENGTH_MIN:
        raise InvalidInput("password_too_short", f"use at least {PASSWORD_LENGTH_MIN} characters", "password")
    return _hasher.hash(normal)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password fits; `stored` None (no such user) takes the same time and is False.

    `InvalidInput` (`password_too_long`, `password_unreadable`) comes before any hashing. A stored text that is no hash
    fits nothing.
    """
    normal = _normal(password)
    try:
        _hasher.verify(stored or _nobody(), normal)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def needs_rehash(stored: str) -> bool:
    """Whether the hash was made with weaker settings than today's: hash again at the next good login."""
    return _hasher.check_needs_rehash(stored)


@cache
def _nobody() -> str:
    return _hasher.hash("nobody has this password")


def _normal(password: str) -> str:
    # Before normalising too: one code point can become eighteen.
    if len(password) > PASSWORD_BYTES_MAX:
        raise _too_long()
    normal = unicodedata.normalize("NFKC", password)
    try:
        size = len(normal.encode())
    except UnicodeEncodeError:
        raise InvalidInput("password_unreadable", "the password holds half a character", "password") from None
    if size > PASSWORD_BYTES_MAX:
        raise _too_long()
    return normal


def _too_long() -> InvalidInput:
    return InvalidInput("password_too_long", f"use at most {PASSWORD_BYTES_MAX} bytes", "password")
