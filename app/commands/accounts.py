"""Who may act for a merchant, and who did: its users, the keys of its programs, the audit log."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, time
from typing import Any

import orjson

from app.accounts import audit
from app.accounts.keys import create_key, list_keys, read_scopes, revoke_key
from app.accounts.members import add_member
from app.accounts.merchants import get_merchant
from app.accounts.roles import ROLES
from app.accounts.users import create_user, find_user, list_users, normal_email, set_password
from app.commands.frame import (
    add_command,
    add_group,
    add_merchant,
    chosen_merchants,
    read_password,
    with_merchant,
    with_runtime,
)
from app.core.config import Settings
from app.core.db import Session
from app.core.runtime import Runtime


def add(commands: Any) -> None:
    """user create, list and set-password; key create, list and revoke; audit verify."""
    user = add_group(commands, "user", "people who log in")
    person = add_merchant(add_command(user, "create", run_user_create, "a new user, or a user's place in a merchant"))
    person.add_argument("--email", help="their address; asked for when it is missing")
    person.add_argument("--role", choices=ROLES, default="owner", help="what they may do there (default owner)")
    person.add_argument("--name", help="what they are called (default: the part of the address before the @)")
    person.add_argument("--known", action="store_true", help="the account that has the address already is theirs")
    add_command(user, "list", run_user_list, "everybody, with their merchants and roles")
    again = add_command(user, "set-password", run_set_password, "another password; it ends all their sessions")
    again.add_argument("--email", required=True, help="their address")
    key = add_group(commands, "key", "API keys")
    create = add_merchant(add_command(key, "create", run_key_create, "a new API key; it is shown this once"))
    create.add_argument("--name", required=True, help="what it is for")
    create.add_argument("--scopes", required=True, help="all, or scopes separated by commas, such as items:read")
    create.add_argument("--expires", type=_day, metavar="DAY", help="the UTC day from which it opens nothing")
    create.add_argument("--json", action="store_true", help='as {"key": …}')
    add_merchant(add_command(key, "list", run_key_list, "the API keys, without what opens"))
    revoke = add_merchant(add_command(key, "revoke", run_key_revoke, "from now on a key opens nothing"))
    revoke.add_argument("id", type=int, help="its number, as `key list` shows it")
    log = add_group(commands, "audit", "who did what")
    add_merchant(add_command(log, "verify", run_audit_verify, "whether the audit log was changed"))


def _day(text: str) -> datetime:
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC), time.min, UTC)
    except ValueError:
        raise argparse.ArgumentTypeError("a day such as 2027-06-30") from None


_KNOWN = (
    "{email} has an account here, with a password of its own (`python -m app user list` shows where it is a member). "
    "Nobody proves an address when an invitation is accepted: ask them whether it is theirs. If so, say --known; "
    "if not, first give it another password (`python -m app user set-password --email EMAIL`). Nothing was changed."
)


def run_user_create(arguments: argparse.Namespace, settings: Settings) -> int:
    """The password is asked for twice, or read from the input: a shell remembers its arguments. Somebody who is there
    keeps theirs and becomes a member."""

    def act(runtime: Runtime) -> int:
        now = runtime.clock()
        merchant = get_merchant(runtime.database, now, arguments.merchant)
        email = normal_email(arguments.email if arguments.email is not None else input("E-mail address: "))
        with runtime.database.across(now) as session:
            known = find_user(session, email)
        if known is not None and not arguments.known:
            print(_KNOWN.format(email=email), file=sys.stderr)
            return 2
        password = "" if known is not None else read_password(f"Password of {email}: ")
        if password is None:
            return 2
        with runtime.begin(merchant.merchant_id, now) as session:
            user = known or create_user(session, email, arguments.name or email.partition("@")[0], password)
            add_member(session, user, arguments.role)
        print(f"{email} is {'now' if known else 'there,'} {arguments.role} of {merchant.name}.")
        return 0

    return with_runtime(settings, act)


def run_user_list(arguments: argparse.Namespace, settings: Settings) -> int:
    """A line for each merchant of each user: address, name, merchant, role."""

    def show(runtime: Runtime) -> int:
        for line in list_users(runtime.database, runtime.clock()):
            print(line.email, line.name, line.merchant or "-", line.role or "-", sep="\t")
        return 0

    return with_runtime(settings, show)


def run_set_password(arguments: argparse.Namespace, settings: Settings) -> int:
    """For who has forgotten theirs."""
    password = read_password("New password: ")
    if password is None:
        return 2

    def act(runtime: Runtime) -> int:
        user = set_password(runtime.database, runtime.clock(), arguments.email, password)
        print(f"The password of {user.email} is set.")
        return 0

    return with_runtime(settings, act)


def run_key_create(arguments: argparse.Namespace, settings: Settings) -> int:
    """The key goes to the output, alone, so that a script can keep it."""
    scopes = read_scopes(arguments.scopes)

    def act(session: Session) -> str:
        return create_key(session, name=arguments.name, scopes=scopes, expires_at=arguments.expires)[1]

    token = with_merchant(arguments, settings, act)
    print(orjson.dumps({"key": token}).decode() if arguments.json else token)
    return 0


def run_key_list(arguments: argparse.Namespace, settings: Settings) -> int:
    """One line each: number, state, name, scopes, last used, expires."""

    def act(session: Session) -> int:
        for key in list_keys(session):
            times = [at.strftime("%Y-%m-%d %H:%M UTC") if at else "never" for at in (key.last_used_at, key.expires_at)]
            print(key.key_id, key.state(session.now), key.name, ",".join(key.scopes), *times, sep="\t")
        return 0

    return with_merchant(arguments, settings, act)


def run_key_revoke(arguments: argparse.Namespace, settings: Settings) -> int:
    """At once: the next call with it is refused."""

    def act(session: Session) -> int:
        revoke_key(session, arguments.id)
        print(f"Key {arguments.id} is revoked.")
        return 0

    return with_merchant(arguments, settings, act)


def run_audit_verify(arguments: argparse.Namespace, settings: Settings) -> int:
    """0 when every entry fits, of the merchant or of all; the head is worth keeping elsewhere."""

    def check(runtime: Runtime) -> int:
        now, bad = runtime.clock(), 0
        for merchant in chosen_merchants(runtime, now, arguments.merchant):
            with runtime.begin(merchant.merchant_id, now) as session:
                found = audit.find_break(session)
            if found.bad_number is not None:
                bad += 1
                print(f"{merchant.name}: entry {found.bad_number} was changed or is gone")
            else:
                print(f"{merchant.name}: ok, {found.entries} entries, head {found.head or '-'}")
        return 1 if bad else 0

    return with_runtime(settings, check)
