"""The audit log: an entry for each deed, none without it; what was changed or taken out is found and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy

from app.accounts import audit
from app.accounts.keys import create_key, revoke_key
from app.core.db import ConstraintViolated, Session
from app.core.embedded import OWNER_ROLE, Embedded
from app.core.errors import NotFound
from tests.world import World


@pytest.fixture
def owner(server: Embedded) -> Iterator[Callable[..., None]]:
    """The database's owner with the triggers off: whoever may do that can rewrite rows, and is to be found out."""
    engine = sqlalchemy.create_engine(server.url(OWNER_ROLE), poolclass=sqlalchemy.NullPool)

    def rewrite(sql: str, world: World) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("alter table audit_log disable trigger append_only")
            assert connection.exec_driver_sql(sql, {"m": world.merchant_id}).rowcount == 1
            connection.exec_driver_sql("alter table audit_log enable trigger append_only")

    yield rewrite
    engine.dispose()


def five(world: World) -> None:
    for n in range(1, 6):
        with world.session() as session:
            assert audit.note(session, "anna", "rule.changed", f"number {n}", before={"buffer": 0}) == n


def checked(world: World) -> audit.Checked:
    with world.session() as session:
        return audit.find_break(session)


def test_an_entry_says_who_what_when_and_from_where_and_none_is_left_without_its_deed(world: World) -> None:
    with world.database.begin(world.merchant_id, world.now, acting=("anna@example.com", "203.0.113.9")) as session:
        key_id, _ = create_key(session, name="till", scopes=("all",), expires_at=None)
        revoke_key(session, key_id)
    with pytest.raises(NotFound), world.session() as session:
        audit.note(session, None, "key.revoked", "x") and revoke_key(session, key_id + 1)
    with world.session() as session:
        revoked, created = audit.list_entries(session)
    assert (created.actor, created.origin, created.action, created.subject, created.noted_at) == (
        "anna@example.com", "203.0.113.9", "key.created", f"key {key_id}", world.now
    )  # fmt: skip
    assert created.after == {"name": "till", "scopes": ["all"], "expires_at": None}
    assert (revoked.number, revoked.action) == (2, "key.revoked")


def test_what_nobody_asked_for_is_done_by_the_system_and_secrets_are_hidden(world: World) -> None:
    with world.session() as session:
        audit.note(
            session, None, "channel.connected", "s", after={"consumer_secret": "cs_abcdefghijk", "x": [{"token": "t"}]}
        )
        (entry,) = audit.list_entries(session)
    assert entry.actor == "system"
    assert entry.after == {"consumer_secret": "[hidden]", "x": [{"token": "[hidden]"}]}


@pytest.mark.parametrize("deed", ["update audit_log set actor = 'x'", "delete from audit_log", "truncate audit_log"])
def test_row_59_neither_the_application_nor_the_owner_rewrites_the_log(
    world: World, server: Embedded, deed: str
) -> None:
    five(world)
    with pytest.raises(Exception, match="permission denied"), world.session() as session:
        session.run(f"{deed} -- merchant_id")
    engine = sqlalchemy.create_engine(server.url(OWNER_ROLE), poolclass=sqlalchemy.NullPool)
    with pytest.raises(Exception, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql(deed)
    assert checked(world).entries == 5


def test_nobody_adds_an_entry_but_through_the_function(world: World) -> None:
    five(world)
    with pytest.raises(Exception, match="permission denied"), world.session() as session:
        session.run("insert into audit_log select * from audit_log where merchant_id = %(merchant_id)s")
    with pytest.raises(Exception, match="permission denied"), world.session() as session:
        session.run("update audit_head set number = 0 where merchant_id = %(merchant_id)s")


@pytest.mark.parametrize(
    ("deed", "bad"),
    [
        ("update audit_log set actor = 'eve' where merchant_id = %(m)s and number = 3", 3),
        ("update audit_log set before = null where merchant_id = %(m)s and number = 1", 1),
        ("update audit_log set hash = sha256('x') where merchant_id = %(m)s and number = 4", 4),
        ("delete from audit_log where merchant_id = %(m)s and number = 3", 3),
        ("delete from audit_log where merchant_id = %(m)s and number = 1", 1),
        ("delete from audit_log where merchant_id = %(m)s and number = 5", 5),
        (
            """update audit_log e set subject = 'x', hash = audit_hash((e.merchant_id, e.number, e.noted_at, e.actor,
                   e.action, 'x', e.before, e.after, e.origin, e.previous_hash, e.hash)::audit_log)
               where merchant_id = %(m)s and number = 3""",
            3,
        ),
        ("update audit_head set number = 4 where merchant_id = %(m)s", 5),
    ],
)
def test_row_59_the_first_entry_that_was_changed_or_is_gone_is_named(
    world: World, other: World, owner: Callable[..., None], deed: str, bad: int
) -> None:
    five(world)
    five(other)
    assert checked(world).bad_number is None
    owner(deed, world)
    assert checked(world).bad_number == bad
    assert checked(other).bad_number is None


def test_a_long_log_is_checked_part_by_part(
    world: World, owner: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "CHECKED_MAX", 2)
    five(world)
    assert checked(world).entries == 5
    owner("delete from audit_log where merchant_id = %(m)s and number = 3", world)
    assert (checked(world).entries, checked(world).bad_number) == (2, 3)


def test_entries_of_transactions_at_once_form_one_chain_without_a_gap(world: World) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(n: int) -> int:
        with world.session() as session:
            return audit.note(session, "a", "rule.changed", str(n))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(24))) == list(range(1, 25))
    assert checked(world) == audit.Checked(24, checked(world).head)


def test_row_21_no_merchant_reads_anothers_log(world: World, other: World) -> None:
    five(world)

    def seen(session: Session) -> int:
        return len(audit.list_entries(session))

    with other.session() as session:
        assert seen(session) == 0
    assert checked(other) == audit.Checked(0, "")


def test_an_action_is_a_slug_of_a_thing_and_what_was_done(world: World) -> None:
    with pytest.raises(ConstraintViolated), world.session() as session:
        audit.note(session, None, "did something", "x")
