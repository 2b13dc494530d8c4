"""Members: which users belong to a merchant and in which role, and invitations for who is to become one.

A merchant keeps at least one owner. An invitation is a link that works once and for a while; it is shown to whoever
invites, who passes it on, and only its hash is kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.accounts import audit
from app.accounts.roles import ROLES
from app.accounts.users import User, normal_email
from app.core.db import Database, Session
from app.core.errors import Conflict, InvalidInput, NotFound

INVITATION_LIFE = timedelta(days=7)
INVITATIONS_MAX = 100  # open ones of a merchant
PREFIX = "perpi_"  # logs hide what begins so


@dataclass(frozen=True, slots=True)
class Member:
    """A user as the merchant's members see them."""

    user_id: int
    email: str
    name: str
    role: str
    since: datetime
    seen_at: datetime | None
    sessions: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """An open invitation as listed."""

    invitation_id: int
    email: str
    role: str
    invited_at: datetime
    invited_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Invited:
    """What an invitation's link leads to. `is_known`: somebody has that address already, and proves it by password."""

    merchant_id: int
    merchant: str
    invitation_id: int
    email: str
    role: str
    is_known: bool


def list_members(session: Session) -> Sequence[Member]:
    """By address."""
    rows = session.rows(
        "select user_id, email, name, role, since, seen_at, sessions from list_members(%(now)s)", now=session.now
    )
    return [Member(*row) for row in rows]


def add_member(session: Session, user: User, role: str, by: str | None = None) -> None:
    """Make a user a member. Raises Conflict when they are one already."""
    _check(role)
    added = session.run(
        """insert into membership (merchant_id, user_id, role, since)
           values (%(merchant_id)s, %(user)s, %(role)s, %(now)s) on conflict do nothing""",
        user=user.user_id, role=role, now=session.now,
    )  # fmt: skip
    if not added:
        raise Conflict("member_already", "they are a member already: change their role instead")
    audit.note(session, by, "member.added", user.email, after={"role": role})


def set_role(session: Session, user_id: int, role: str) -> None:
    """Raises NotFound for who is no member, and Conflict for the last owner."""
    _check(role)
    before, is_last = _lock(session, user_id)
    if is_last and role != "owner":
        raise _last_owner()
    session.run(
        "update membership set role = %(role)s where merchant_id = %(merchant_id)s and user_id = %(user)s",
        user=user_id, role=role,
    )  # fmt: skip
    audit.note(
        session, None, "member.role_changed", _email(session, user_id), before={"role": before}, after={"role": role}
    )


def remove_member(session: Session, user_id: int) -> None:
    """From now on they see nothing of this merchant. Raises NotFound, and Conflict for the last owner."""
    before, is_last = _lock(session, user_id)
    if is_last:
        raise _last_owner()
    email = _email(session, user_id)
    session.run("delete from membership where merchant_id = %(merchant_id)s and user_id = %(user)s", user=user_id)
    audit.note(session, None, "member.removed", email, before={"role": before})


def log_out_member(session: Session, user_id: int) -> int:
    """End all sessions of a member. Raises NotFound."""
    _lock(session, user_id)
    ended: int = session.value(
        "select close_user_sessions(%(user)s, null, null, %(now)s)", user=user_id, now=session.now
    )
    audit.note(session, None, "member.logged_out", _email(session, user_id), after={"sessions": ended})
    return ended


def invite(
    session: Session, email: str, role: str, by: str, *, random_bytes: Callable[[int], bytes] = os.urandom
) -> str:
    """A new invitation; returns its token, which is shown once. An open one for the same address ends. Raises
    InvalidInput, and Conflict for a member or when too many are open."""
    _check(role)
    normal = normal_email(email)
    if any(member.email == normal for member in list_members(session)):
        raise Conflict("member_already", "they are a member already: change their role instead", "email")
    session.run(
        """update invitation set withdrawn_at = %(now)s where merchant_id = %(merchant_id)s and email = %(email)s
           and accepted_at is null and withdrawn_at is null""",
        email=normal, now=session.now,
    )  # fmt: skip
    if len(list_invitations(session)) >= INVITATIONS_MAX:
        raise Conflict("too_many_invitations", "withdraw some of the open invitations first")
    token = PREFIX + random_bytes(32).hex()
    session.run(
        """insert into invitation (merchant_id, invitation_id, email, role, token_hash, invited_at, invited_by,
                                   expires_at)
           values (%(merchant_id)s, nextval('invitation_seq'), %(email)s, %(role)s, %(hash)s, %(now)s, %(by)s,
                   %(expires)s)""",
        email=normal, role=role, hash=_hash(token), now=session.now, by=by, expires=session.now + INVITATION_LIFE,
    )  # fmt: skip
    audit.note(session, None, "member.invited", normal, after={"role": role})
    return token


def list_invitations(session: Session) -> Sequence[Invitation]:
    """The open ones, the newest first."""
    rows = session.rows(
        """select invitation_id, email, role, invited_at, invited_by, expires_at from invitation
           where merchant_id = %(merchant_id)s and accepted_at is null and withdrawn_at is null
             and expires_at > %(now)s order by invitation_id desc limit %(limit)s""",
        now=session.now, limit=INVITATIONS_MAX,
    )  # fmt: skip
    return [Invitation(*row) for row in rows]


def withdraw(session: Session, invitation_id: int) -> None:
    """The link leads nowhere from now on. Raises NotFound."""
    email = session.value(
        """update invitation set withdrawn_at = %(now)s
           where merchant_id = %(merchant_id)s and invitation_id = %(id)s and accepted_at is null
             and withdrawn_at is null returning email""",
        id=invitation_id, now=session.now,
    )  # fmt: skip
    if email is None:
        raise NotFound("unknown_invitation", "there is no open invitation of that number")
    audit.note(session, None, "member.invitation_withdrawn", email)


def get_invited(database: Database, now: datetime, token: str) -> Invited:
    """What a link leads to. Raises NotFound when it was used, withdrawn, is too old or never was."""
    with database.across(now) as session:
        row = session.row("select * from find_invitation(%(hash)s, %(now)s)", hash=_hash(token), now=now)
    if row is None:
        raise _used_up()
    return Invited(*row)


def accept(session: Session, invited: Invited, user: User) -> None:
    """Become a member, once. Raises NotFound when somebody else was faster, Conflict for who is a member already."""
    accepted = session.run(
        """update invitation set accepted_at = %(now)s
           where merchant_id = %(merchant_id)s and invitation_id = %(id)s and email = %(email)s
             and accepted_at is null and withdrawn_at is null and expires_at > %(now)s""",
        id=invited.invitation_id, email=user.email, now=session.now,
    )  # fmt: skip
    if not accepted:
        raise _used_up()
    add_member(session, user, invited.role, user.email)


def _used_up() -> NotFound:
    return NotFound("unknown_invitation", "This invitation was used, was withdrawn or is too old: ask for another.")


def _lock(session: Session, user_id: int) -> tuple[str, bool]:
    """(the member's role, whether they are the only owner); owners and they stay as they are until the end, so two
    owners who remove each other at once wait for one another. Raises NotFound."""
    rows = session.rows(
        """select user_id, role from membership
           where merchant_id = %(merchant_id)s and (user_id = %(user)s or role = 'owner')
           order by user_id for update""",
        user=user_id,
    )
    roles = {row.user_id: row.role for row in rows}
    if user_id not in roles:
        raise NotFound("unknown_member", "there is no such member")
    return roles[user_id], roles[user_id] == "owner" and list(roles.values()).count("owner") == 1


def _last_owner() -> Conflict:
    return Conflict("last_owner", "a merchant keeps at least one owner: make somebody else one first")


def _email(session: Session, user_id: int) -> str:
    return next((member.email for member in list_members(session) if member.user_id == user_id), "")


def _check(role: str) -> None:
    if role not in ROLES:
        raise InvalidInput("bad_role", f"one of {', '.join(ROLES)}", "role")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
