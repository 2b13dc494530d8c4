"""Users: people who log in, by e-mail and password. What they may do is `app.accounts.members`.

An e-mail address is compared in one form, so nobody can be a second person by writing it otherwise: NFKC, lower case,
and then plain ASCII, since letters of other scripts look like ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.db import ConstraintViolated, Database, Session
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.passwords import hash_password, needs_rehash, verify_password

EMAIL_MAX = 254
NAME_MAX = 200
_EMAIL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9-]+\.)+[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can log in."""

    user_id: int
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class UserLine:
    """A user in one merchant, or in none, as the operator's list has it."""

    email: str
    name: str
    merchant: str | None
    role: str | None


def normal_email(text: str) -> str:
    """The one form of an address. Raises InvalidInput for what is none, has a line break, or letters beyond ASCII."""
    if any(unicodedata.category(c) == "Cc" for c in text):
        raise InvalidInput("bad_email", "an e-mail address has no line breaks or control characters", "email")
    normal = unicodedata.normalize("NFKC", text[: 2 * EMAIL_MAX]).strip().lower()
    if not normal.isascii():
        detail = "use an address in plain letters: some of these look like others (a domain can be written as xn--…)"
        raise InvalidInput("email_not_ascii", detail, "email")
    if len(normal) > EMAIL_MAX or not _EMAIL.fullmatch(normal):
        raise InvalidInput("bad_email", "an e-mail address such as anna@example.com", "email")
    return normal


def normal_name(text: str) -> str:
    """What a person is called. Raises InvalidInput."""
    name = unicodedata.normalize("NFC", text[: 2 * NAME_MAX]).strip()
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise InvalidInput("bad_name", f"1 to {NAME_MAX} characters that can be printed", "name")
    return name


def create_user(session: Session, email: str, name: str, password: str) -> User:
    """A new user. Raises InvalidInput, and Conflict when somebody has the address."""
    normal, called, stored = normal_email(email), normal_name(name), hash_password(password)
    try:
        user_id = session.value(
            "select create_user(%(email)s, %(name)s, %(hash)s, %(now)s)",
            email=normal, name=called, hash=stored, now=session.now,
        )  # fmt: skip
    except ConstraintViolated as error:
        raise Conflict("email_taken", "somebody has that address", "email") from error
    return User(user_id, normal, called)


def find_user(session: Session, email: str) -> User | None:
    """By address, in any spelling of it."""
    normal = normal_email(email)
    row = session.row("select user_id, name from find_user(%(email)s)", email=normal)
    return None if row is None else User(row.user_id, normal, row.name)


def check_password(database: Database, now: datetime, email: str, password: str) -> User | None:
    """The user whose address and password these are; None takes as long, whichever of the two is wrong. Raises
    InvalidInput for a password over the bounds."""
    try:
        normal = normal_email(email)
    except InvalidInput:
        normal = ""
    with database.across(now) as session:
        row = session.row("select user_id, name, password_hash from find_user(%(email)s)", email=normal)
    stored = None if row is None else row.password_hash
    if not verify_password(stored, password) or row is None:
        return None
    if needs_rehash(row.password_hash):
        _store(database, now, row.user_id, password)
    return User(row.user_id, normal, row.name)


def set_password(database: Database, now: datetime, email: str, password: str) -> User:
    """Another password, which ends every session of the user. Raises InvalidInput, NotFound."""
    with database.across(now) as session:
        user = find_user(session, email)
    if user is None:
        raise NotFound("unknown_user", "nobody has that address")
    _store(database, now, user.user_id, password)
    with database.across(now) as session:
        session.value("select close_user_sessions(%(user)s, null, null, %(now)s)", user=user.user_id, now=now)
    return user


def list_users(database: Database, now: datetime) -> Sequence[UserLine]:
    """Everybody of this installation, a line for each merchant they belong to."""
    with database.across(now) as session:
        return [UserLine(*row) for row in session.rows("select email, name, merchant, role from list_users()")]


def has_users(database: Database, now: datetime) -> bool:
    """Whether anybody can log in by name."""
    with database.across(now) as session:
        return bool(session.value("select has_users()"))


def _store(database: Database, now: datetime, user_id: int, password: str) -> None:
    stored = hash_password(password)
    with database.across(now) as session:
        session.value("select set_user_password(%(user)s, %(hash)s)", user=user_id, hash=stored)
