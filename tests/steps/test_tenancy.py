"""One merchant never sees, changes or makes another's rows: shown for every table, with rows of two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy
from sqlalchemy.exc import DBAPIError

from app.core.db import Database, connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, SUPERUSER, Embedded
from app.core.migrate import migrate
from tests.conftest import NOW
from tests.world import World

SCRATCH = "perpetual_tenancy"
OURS, THEIRS = 1, 2
ROWS_OF = {
    "alembic_version",
    "instance_setting",
    "channel_address",
    "api_key_hash",
    "install_state",
    "user_account",
    "user_session",
}  # no merchant's: tests/architecture/test_tenancy.py
HISTORY = {"movement", "journal", "cost_adjustment", "movement_purchase", "history_seal"}
LOGS = {"audit_log", "audit_head"}  # written by a function alone: whoever tries is refused before any row is looked at

_TABLES = """
select relname from pg_class
where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and not relispartition
"""
_COLUMNS = """
select attname, format_type(atttypid, null) as type,
       (select min(enumlabel) from pg_enum where enumtypid = atttypid) as label
from pg_attribute where attrelid = %(table)s::regclass and attnum > 0 and not attisdropped and attgenerated = ''
"""
_VALUES = {
    "boolean": "true",
    "date": "2026-11-23",
    "timestamp with time zone": "2026-11-23Z",
    "jsonb": "{}",
    "text": "x",
}


@dataclass(frozen=True)
class Scratch:
    """A database where every table holds a row of either merchant, without the rules that would want real ones."""

    database: Database
    inserts: dict[str, str]  # by table, with a place for the merchant


@pytest.fixture(scope="module")
def scratch(server: Embedded) -> Iterator[Scratch]:
    admin = sqlalchemy.create_engine(
        server.url(OWNER_ROLE), isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool
    )
    with admin.connect() as connection:
        connection.exec_driver_sql(f"create database {SCRATCH}")
    migrate(server.url(OWNER_ROLE, SCRATCH))
    inserts = _fill(server.url(OWNER_ROLE, SCRATCH))
    database = connect(server.url(APP_ROLE, SCRATCH), pool_max=1)
    yield Scratch(database, inserts)
    database.close()
    with admin.connect() as connection:
        connection.exec_driver_sql(f"drop database {SCRATCH} with (force)")


def _fill(owner_url: str) -> dict[str, str]:
    engine = sqlalchemy.create_engine(owner_url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        names = sorted({row[0] for row in connection.exec_driver_sql(_TABLES)} - ROWS_OF)
        _drop_rules(connection)
        inserts = {name: _insert(connection, name) for name in names}
        for sql in inserts.values():
            for merchant in (OURS, THEIRS):
                connection.exec_driver_sql(sql, {"merchant": merchant})
    return inserts


def _drop_rules(connection: sqlalchemy.Connection) -> None:
    """Foreign keys, checks and triggers would want rows that mean something; row-level security stays."""
    rules = connection.exec_driver_sql(
        """select format('alter table %%s drop constraint %%I', conrelid::regclass, conname) from pg_constraint
           where contype in ('f', 'c') and conparentid = 0 and coninhcount = 0
             and connamespace = 'public'::regnamespace order by contype desc"""
    ).fetchall()
    triggers = connection.exec_driver_sql(
        """select format('drop trigger %%I on %%s', tgname, tgrelid::regclass) from pg_trigger
           where not tgisinternal and tgparentid = 0"""
    ).fetchall()
    for (sql,) in (*rules, *triggers):
        connection.exec_driver_sql(sql.replace("%", "%%"))


def _insert(connection: sqlalchemy.Connection, table: str) -> str:
    columns = connection.exec_driver_sql(_COLUMNS, {"table": table}).fetchall()
    values = ["%(merchant)s" if c.attname == "merchant_id" else f"'{_value(c.type, c.label)}'" for c in columns]
    names = ", ".join(c.attname for c in columns)
    # `name` is unique over all merchants
    return f"insert into {table} ({names}) values ({', '.join(values)})".replace("'x'", "'x' || %(merchant)s")


def _value(kind: str, label: str | None) -> str:
    return label or ("{}" if kind.endswith("[]") else _VALUES.get(kind, "1"))


def counts(scratch: Scratch, merchant_id: int | None, where: str = "true") -> dict[str, int]:
    """Rows that a merchant sees, by table; None is a transaction that forgot to say who it is."""
    database = scratch.database
    with database.across(NOW) if merchant_id is None else database.begin(merchant_id, NOW) as session:
        return {t: session.value(f"select count(*) from {t} where {where}") for t in scratch.inserts}


def test_a_statement_without_the_setting_sees_no_row_of_any_table(scratch: Scratch) -> None:
    assert len(scratch.inserts) > 20
    assert set(counts(scratch, None).values()) == {0}


def test_a_merchant_sees_its_own_rows_and_none_of_anothers_in_every_table(scratch: Scratch) -> None:
    for merchant in (OURS, THEIRS):
        assert set(counts(scratch, merchant).values()) == {1}
        assert set(counts(scratch, merchant, f"merchant_id <> {merchant}").values()) == {0}
    assert set(counts(scratch, 3).values()) == {0}


@pytest.mark.parametrize("table", sorted(ROWS_OF - {"alembic_version"}))
def test_a_table_of_no_merchant_is_reached_through_its_functions_alone(scratch: Scratch, table: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"), scratch.database.begin(OURS, NOW) as session:
        session.value(f"select count(*) from {table}")


def test_a_row_for_another_merchant_is_refused_by_every_table(scratch: Scratch) -> None:
    for table, sql in scratch.inserts.items():
        refusal = "permission denied" if table in LOGS else "row-level security"
        with pytest.raises(DBAPIError, match=refusal), scratch.database.begin(OURS, NOW) as session:
            session.run(sql, merchant=3)
        with pytest.raises(DBAPIError, match=refusal), scratch.database.across(NOW) as session:
            session.run(sql, merchant=OURS)
        assert counts(scratch, 3)[table] == 0


def test_another_merchants_rows_can_be_neither_changed_nor_taken_nor_deleted(scratch: Scratch) -> None:
    for table in scratch.inserts.keys() - HISTORY - LOGS:
        with scratch.database.begin(3, NOW) as session:
            assert session.run(f"update {table} set merchant_id = merchant_id") == 0
            assert session.run(f"delete from {table}") == 0
        with pytest.raises(DBAPIError, match="row-level security"), scratch.database.begin(OURS, NOW) as session:
            session.run(f"update {table} set merchant_id = 3")
    for table in LOGS:
        for act in (f"update {table} set merchant_id = merchant_id", f"delete from {table}"):
            with pytest.raises(DBAPIError, match="permission denied"), scratch.database.begin(3, NOW) as session:
                session.run(act)
    assert set(counts(scratch, OURS).values()) == {1}


@pytest.mark.parametrize("fails", [False, True])
def test_the_setting_is_gone_when_the_transaction_ends(scratch: Scratch, fails: bool) -> None:
    try:
        with scratch.database.begin(OURS, NOW) as session:
            pid = session.value("select pg_backend_pid()")
            assert session.value("select current_setting('app.merchant_id')") == str(OURS)
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    with scratch.database.across(NOW) as session:
        assert session.value("select pg_backend_pid()") == pid, "the same pooled connection"
        assert not session.value("select current_setting('app.merchant_id', true)")


def test_the_application_works_as_the_restricted_role_whoever_logs_in(server: Embedded) -> None:
    database = connect(server.url(SUPERUSER))
    with database.across(NOW) as session:
        assert session.value("select current_user::text") == APP_ROLE
        assert session.value("select count(*) from merchant") == 0
    database.close()


def test_a_merchant_registers_no_channel_for_another(world: World, other: World) -> None:
    with pytest.raises(DBAPIError, match="only its own"), world.session() as session:
        session.run("select register_channel('shopify', 'a.example', %(them)s, 1)", them=other.merchant_id)


def test_the_same_sku_belongs_to_both_merchants_and_neither_touches_the_others(world: World, other: World) -> None:
    world.move("mug", 5, "supplier > available@A", "5")
    other.move("mug", 7, "supplier > available@A", "7")
    world.move("mug", 2, "available@A > customer")
    assert (world.available("mug"), other.available("mug")) == (3, 7)
    assert world.verify() == other.verify() == []
