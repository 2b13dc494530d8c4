"""The schema splits by merchant: a copy of it, each tenant table in four parts by hash, keeps its rules and trades.

PostgreSQL takes a unique rule on such a table only if merchant_id is in it, so this proves that no key was forgotten.
`merchant` stays whole (its names are unique over all); the inbox, by day already, is by merchant first and then by day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy

from app.core.db import connect
from app.core.embedded import APP_ROLE, OWNER_ROLE, Embedded
from app.ledger.rebuild import rebuild
from tests.conftest import NOW
from tests.world import World

COPY = "perpetual_hashed"
PARTS = 4
WHOLE = {
    "merchant",
    "channel_address",
    "api_key_hash",
    "user_account",
    "user_session",
    "alembic_version",
    "instance_setting",
    "install_state",
}
_TABLE = re.compile(
    r"CREATE TABLE public\.(\w+) \((.*?)\n\)(?:\nPARTITION BY RANGE \((\w+)\))?(?:\nWITH \([^)]*\))?;", re.DOTALL
)

# What must be the same in both: rules, indexes, triggers and policies of whole tables, by name and definition.
_WHOLE = """(select oid from pg_class where relkind in ('r', 'p') and not relispartition
    and relnamespace = 'public'::regnamespace)"""
_RULES = f"""
select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
where connamespace = 'public'::regnamespace and conparentid = 0 and conrelid in {_WHOLE}
union all
select indrelid::regclass::text, indexrelid::regclass::text, indisunique::text from pg_index where indrelid in {_WHOLE}
union all
select tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) from pg_trigger
where not tgisinternal and tgrelid in {_WHOLE}
union all
select polrelid::regclass::text, polname, pg_get_expr(polqual, polrelid) from pg_policy where polrelid in {_WHOLE}
union all
select oid::regclass::text, 'security', (relrowsecurity and relforcerowsecurity)::text from pg_class
where oid in {_WHOLE}
order by 1, 2, 3
"""


@pytest.fixture(scope="module")
def hashed(server: Embedded) -> Iterator[str]:
    """The copy's name. Its DDL is the migrated database's own, with the partitions put in."""
    dump = server.run_client(
        "pg_dump",
        "--schema-only",
        "--no-owner",
        "--exclude-table=inbox_other",
        "--exclude-table=inbox_2*",
        role=OWNER_ROLE,
    )
    server.run_client("psql", "-qX", "-c", f"create database {COPY}", role=OWNER_ROLE)
    load(server, _TABLE.sub(_in_parts, dump).replace("ALTER TABLE ONLY", "ALTER TABLE"))
    yield COPY
    server.run_client("psql", "-qX", "-c", f"drop database {COPY} with (force)", role=OWNER_ROLE)


def load(server: Embedded, sql: str) -> None:
    engine = sqlalchemy.create_engine(server.url(OWNER_ROLE, COPY), poolclass=sqlalchemy.NullPool)
    plain = re.sub(r"^\\.*$", "", sql, flags=re.MULTILINE)  # psql's own commands
    with engine.begin() as connection, connection.connection.cursor() as cursor:
        cursor.execute(plain)


def _in_parts(found: re.Match[str]) -> str:
    table, columns, by_day = found.groups()
    if table in WHOLE:
        return found[0]
    made = [f"CREATE TABLE public.{table} ({columns}\n) PARTITION BY HASH (merchant_id);"]
    for part in range(PARTS):
        name = f"public.{table}_part{part}"
        values = f"FOR VALUES WITH (modulus {PARTS}, remainder {part})"
        then = f" PARTITION BY RANGE ({by_day})" if by_day else ""
        made.append(f"CREATE TABLE {name} PARTITION OF public.{table} {values}{then};")
        if by_day:
            made.append(f"CREATE TABLE {name}_other PARTITION OF {name} DEFAULT;")
    return "\n".join(made)


def ask(url: str, sql: str) -> list[tuple[object, ...]]:
    with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql.replace("%", "%%"))]


def test_every_tenant_table_is_split_by_merchant_and_keeps_its_rules(server: Embedded, hashed: str) -> None:
    copy = server.url(OWNER_ROLE, hashed)
    whole = ask(
        copy,
        """select relname from pg_class where relkind = 'r' and not relispartition
           and relnamespace = 'public'::regnamespace""",
    )
    assert {name for (name,) in whole} == WHOLE
    assert ask(copy, _RULES) == ask(server.url(OWNER_ROLE), _RULES)


@pytest.mark.parametrize("cost_method", ["fifo", "average"])
def test_the_ledger_trades_in_a_schema_that_is_split_by_merchant(
    server: Embedded, hashed: str, cost_method: str
) -> None:
    database = connect(server.url(APP_ROLE, hashed))
    worlds = [World.make(database, NOW, f"{cost_method} {n}", cost_method) for n in range(6)]
    for world in worlds:
        world.move("mug", 10, "supplier > available@A", "100")
        sale = world.move("mug", 3, "available@A > customer")
        world.move("mug", 1, "customer > available@A", reverses_movement_id=sale)
        world.move("mug", 4, "available@A > in_transit@B")
        world.move("mug", 9, "available@A > committed@A")
        with world.session() as session:
            rebuild(session)
        assert world.verify() == []
        assert (world.available("mug"), world.worth("mug")[0]) == (-5, 8)
    parts = ask(server.url(OWNER_ROLE, hashed), "select count(distinct tableoid) from level")
    assert parts[0][0] > 1, "the merchants lie in several parts"
    database.close()
