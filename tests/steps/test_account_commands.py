"""The commands about accounts as a person uses them: each a process of its own on one embedded database."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path

import pytest

from app.accounts import audit
from app.accounts.merchants import list_merchants
from app.accounts.users import check_password
from app.core.db import connect
from app.core.embedded import APP_ROLE, Embedded
from tests.shell import app


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="perpetual-cli-", ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        path.chmod(0o755)
        assert app(path, "merchant", "create", "shop").returncode == 0
        assert app(path, "merchant", "create", "other").returncode == 0
        Embedded(path).ensure()
        yield path
        Embedded(path).stop()


def test_a_key_is_shown_once_listed_without_it_and_revoked_by_its_number(data: Path) -> None:
    named = ("--merchant", "shop", "--name", "till")
    made = app(data, "key", "create", *named, "--scopes", "all", "--json")
    token = json.loads(made.stdout)["key"]
    assert json.loads(made.stdout).keys() == {"key"}
    plain = app(data, "key", "create", *named, "--scopes", "items:read", "--expires", "2999-01-01").stdout.strip()
    assert plain.startswith("perp_")
    listed = app(data, "key", "list", "--merchant", "shop").stdout
    assert token not in listed
    number = listed.splitlines()[1].split("\t")[0]
    assert "active\ttill\tall" in listed
    assert "2999-01-01" in listed
    refused = app(data, "key", "revoke", number, "--merchant", "other")
    assert (refused.returncode, "unknown_key" in refused.stderr) == (2, True)
    assert app(data, "key", "revoke", number, "--merchant", "shop").returncode == 0
    assert "revoked\ttill\tall" in app(data, "key", "list", "--merchant", "shop").stdout
    assert "till" not in app(data, "key", "list", "--merchant", "other").stdout


def test_a_key_without_a_merchant_a_known_scope_or_a_real_day_is_not_made(data: Path) -> None:
    wrong = [("--scopes", "all"), ("--merchant", "shop", "--scopes", "everything")]
    wrong += [("--merchant", "shop", "--scopes", "all", "--expires", "2027-02-30")]
    results = [app(data, "key", "create", "--name", "n", *more) for more in wrong]
    assert [result.returncode for result in results] == [2, 2, 2]
    assert ["which_merchant" in results[0].stderr, "bad_scope" in results[1].stderr] == [True, True]
    assert {result.stdout for result in results} == {""}


def test_the_audit_log_tells_what_the_commands_did_and_is_verified(data: Path) -> None:
    assert app(data, "merchant", "create", "third").returncode == 0
    assert app(data, "key", "create", "--merchant", "third", "--name", "x", "--scopes", "all").returncode == 0
    verified = app(data, "audit", "verify")
    assert verified.returncode == 0
    assert "third: ok, 1 entries, head " in verified.stdout
    assert "shop: ok" in verified.stdout
    database = connect(Embedded(data).url(APP_ROLE))
    now = datetime.now(UTC)
    third = next(one.merchant_id for one in list_merchants(database, now) if one.name == "third")
    with database.begin(third, now) as session:
        (entry,) = audit.list_entries(session)
    database.close()
    assert (entry.actor, entry.action, entry.origin) == ("command line", "key.created", getuser())


def test_a_user_is_made_with_a_password_from_the_input_and_joins_a_second_merchant_with_the_same(data: Path) -> None:
    create = ("user", "create", "--email", "Anna@Example.com")
    short = app(data, *create, "--merchant", "shop", stdin="short\n")
    assert (short.returncode, "password_too_short" in short.stderr) == (2, True)
    assert app(data, "user", "list").stdout == ""
    assert app(data, *create, "--merchant", "shop", "--name", "Anna", stdin="a long enough password\n").returncode == 0
    again = app(data, *create, "--merchant", "shop", "--known")
    assert (again.returncode, "member_already" in again.stderr) == (2, True)
    unsaid = app(data, *create, "--merchant", "other", "--role", "viewer")
    assert (unsaid.returncode, "ask them whether it is theirs" in unsaid.stderr) == (2, True)
    assert "other" not in app(data, "user", "list").stdout
    assert app(data, *create, "--merchant", "other", "--role", "viewer", "--known").returncode == 0
    listed = app(data, "user", "list").stdout
    assert listed == "anna@example.com\tAnna\tother\tviewer\nanna@example.com\tAnna\tshop\towner\n"
    database = connect(Embedded(data).url(APP_ROLE))
    now = datetime.now(UTC)
    assert check_password(database, now, "anna@example.com", "a long enough password") is not None
    other = ("user", "set-password", "--email", "anna@example.com")
    assert app(data, *other, stdin="another long password\n").returncode == 0
    assert check_password(database, now, "anna@example.com", "a long enough password") is None
    assert check_password(database, now, "anna@example.com", "another long password") is not None
    database.close()


def test_row_47_an_address_with_a_line_break_or_look_alikes_makes_no_user(data: Path) -> None:
    for email in ("a@b.de\nBcc: x@y.de", "аnna@example.com"):
        refused = app(data, "user", "create", "--merchant", "shop", "--email", email, stdin="a long enough password\n")
        assert (refused.returncode, "email" in refused.stderr) == (2, True)
