"""Tenancy as a lint over the migrated database's own catalogue: what a new table or function must not forget."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
import sqlalchemy

from app.core.embedded import APP_ROLE, OWNER_ROLE, Embedded
from tests.architecture.source import python_files

# Every table without a merchant's key, and why it may be.
GLOBAL = {
    "alembic_version": "which migrations ran",
    "instance_setting": "settings of this installation, through functions only",
    "install_state": "consents under way, of shops that may have no merchant yet, through functions only",
    "user_account": "people, who may belong to several merchants, through functions only",
    "user_session": "where people are logged in, through functions only",
}
# Has merchant_id, but answers *whose is this?*, so its key is the question. Read through functions only.
REGISTRY = {"channel_address", "api_key_hash"}
# The calls that look across merchants; each is SECURITY DEFINER and pins its search_path.
ACROSS = {
    "list_merchants", "find_shops", "register_channel", "place_shop", "list_work", "get_setting", "put_setting",
    "list_webhooks_due", "absent_workers", "free_abandoned",
    "keep_inbox_partitions", "compact_due", "refresh_statistics", "register_key", "find_key",
    "append_audit", "open_install", "take_install", "release_shop",
    "has_users", "find_user", "create_user", "set_user_password", "list_users", "open_user_session",
    "find_user_session", "list_user_sessions", "close_user_sessions", "drop_old_sessions", "list_members",
    "find_invitation",
}  # fmt: skip
# Unique over the whole installation, so `merchant` itself is not split up: beyond one server each has a copy of it.
OVER_ALL = {"merchant_name"}
APPEND_ONLY = {"movement", "journal", "cost_adjustment", "audit_log"}

# (file, a piece of the statement): a statement on a tenant table without merchant_id, and why it may be.
WITHOUT_MERCHANT = {
    ("app/demo/home.py", "exists (select from merchant)"): "the owner asks whether a database is empty",
    ("app/insight/items.py", "from item i"): "its filters are a list that begins with merchant_id",
}
_STATEMENT = re.compile(r"\s*(?:with|select|insert into|update|delete from)\b", re.IGNORECASE)

Rows = list[tuple[str, ...]]


@pytest.fixture(scope="module")
def catalogue(server: Embedded) -> Iterator[sqlalchemy.Connection]:
    engine = sqlalchemy.create_engine(server.url(OWNER_ROLE))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def ask(connection: sqlalchemy.Connection, sql: str) -> Rows:
    return [tuple(row) for row in connection.exec_driver_sql(sql)]


def tables(connection: sqlalchemy.Connection) -> set[str]:
    """Every table that is not a partition of another."""
    return {
        name
        for (name,) in ask(
            connection,
            """select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace
               and not relispartition""",
        )
    }


def tenant_tables(connection: sqlalchemy.Connection) -> set[str]:
    return tables(connection) - GLOBAL.keys() - REGISTRY


def test_a_table_is_a_merchants_or_one_of_the_few_named_here(catalogue: sqlalchemy.Connection) -> None:
    with_merchant = {
        name
        for (name,) in ask(
            catalogue,
            """select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'merchant_id'
               where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnotnull""",
        )
    }
    assert tables(catalogue) - with_merchant == GLOBAL.keys()
    assert tables(catalogue) >= REGISTRY


def test_merchant_id_leads_every_key_and_unique_index(catalogue: sqlalchemy.Connection) -> None:
    leads = ask(
        catalogue,
        """select c.relname, i.indexrelid::regclass::text, a.attname from pg_index i
           join pg_class c on c.oid = i.indrelid
           left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
           where c.relnamespace = 'public'::regnamespace and (i.indisunique or i.indisprimary)""",
    )
    mine = tenant_tables(catalogue)
    assert [
        (table, index)
        for table, index, column in leads
        if table in mine and index not in OVER_ALL and column != "merchant_id"
    ] == []
    assert {table for table, _, _ in leads} >= mine


def test_merchant_id_leads_every_foreign_key_on_both_sides(catalogue: sqlalchemy.Connection) -> None:
    keys = ask(
        catalogue,
        """select k.conname, a.attname, b.attname from pg_constraint k
           join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
           join pg_attribute b on b.attrelid = k.confrelid and b.attnum = k.confkey[1]
           where k.contype = 'f' and k.connamespace = 'public'::regnamespace""",
    )
    assert keys
    assert [name for name, ours, theirs in keys if (ours, theirs) != ("merchant_id", "merchant_id")] == []


def test_every_merchants_table_refuses_rows_of_others_even_to_its_owner(catalogue: sqlalchemy.Connection) -> None:
    guarded = ask(
        catalogue,
        f"""select c.relname from pg_class c join pg_policy p on p.polrelid = c.oid and p.polname = 'tenant'
            where c.relrowsecurity and c.relforcerowsecurity and p.polcmd = '*' and p.polpermissive
              and p.polroles = array['{APP_ROLE}'::regrole::oid]
              and pg_get_expr(p.polqual, c.oid) like '%%merchant_id = %%app.merchant_id%%'
              and (p.polwithcheck is null or pg_get_expr(p.polwithcheck, c.oid) = pg_get_expr(p.polqual, c.oid))""",
    )
    assert {name for (name,) in guarded} >= tenant_tables(catalogue)


def test_no_other_policy_lets_the_application_see_more(catalogue: sqlalchemy.Connection) -> None:
    more = ask(
        catalogue,
        f"""select polrelid::regclass::text, polname from pg_policy
            where polname <> 'tenant' and (0 = any(polroles) or '{APP_ROLE}'::regrole = any(polroles))""",
    )
    assert more == []


def test_a_partition_is_not_a_way_around_its_tables_policy(catalogue: sqlalchemy.Connection) -> None:
    open_doors = ask(
        catalogue,
        f"""select relname from pg_class where relispartition and relkind in ('r', 'p')
            and relnamespace = 'public'::regnamespace
            and not (relrowsecurity and relforcerowsecurity)
            and has_table_privilege('{APP_ROLE}', oid, 'select,insert,update,delete')""",
    )
    assert open_doors == []


def test_the_application_reads_no_global_table_itself(catalogue: sqlalchemy.Connection) -> None:
    granted = {
        name
        for name in GLOBAL.keys() | REGISTRY
        for may in ask(catalogue, f"select has_table_privilege('{APP_ROLE}', '{name}', 'select,insert,update,delete')")
        if may[0]
    }
    assert granted == set()


def test_only_the_named_functions_look_across_merchants(catalogue: sqlalchemy.Connection) -> None:
    definers = ask(
        catalogue,
        """select proname, coalesce(array_to_string(proconfig, ' '), '') from pg_proc
           where prosecdef and pronamespace = 'public'::regnamespace""",
    )
    assert {name for name, _ in definers} == ACROSS
    assert [name for name, settings in definers if "search_path=" not in settings] == []


def test_no_function_can_be_called_by_roles_that_are_not_ours(catalogue: sqlalchemy.Connection) -> None:
    public = ask(
        catalogue,
        """select proname from pg_proc p cross join lateral aclexplode(coalesce(proacl, acldefault('f', proowner))) a
           where pronamespace = 'public'::regnamespace and a.grantee = 0 and a.privilege_type = 'EXECUTE'
             and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')""",
    )
    assert public == []


def test_the_applications_role_owns_nothing_and_bypasses_nothing(catalogue: sqlalchemy.Connection) -> None:
    assert ask(
        catalogue,
        f"""select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication from pg_roles
            where rolname = '{APP_ROLE}'""",
    ) == [(False, False, False, False, False)]
    owned = ask(catalogue, f"select relname from pg_class where relowner = '{APP_ROLE}'::regrole")
    member = ask(catalogue, f"select roleid::regrole::text from pg_auth_members where member = '{APP_ROLE}'::regrole")
    may_create = ask(catalogue, f"select has_schema_privilege('{APP_ROLE}', 'public', 'create')")
    assert (owned, member, may_create) == ([], [], [(False,)])


def test_history_can_only_be_added_to(catalogue: sqlalchemy.Connection) -> None:
    for table in APPEND_ONLY:
        for privilege in ("update", "delete", "truncate"):
            assert ask(catalogue, f"select has_table_privilege('{APP_ROLE}', '{table}', '{privilege}')") == [(False,)]
    triggers = ask(
        catalogue,
        """select tgrelid::regclass::text from pg_trigger where tgname = 'append_only' and tgenabled <> 'D'""",
    )
    assert {name for (name,) in triggers} >= APPEND_ONLY


def statements() -> list[tuple[str, str]]:
    """(place, text) of every string in app/ that is a statement."""
    found = []
    for file in python_files("app"):
        for number, text in strings(file.text, file.path):
            if _STATEMENT.match(text):
                found.append((f"{file.path}:{number}", text))
    return found


def strings(source: str, path: str) -> Iterator[tuple[int, str]]:
    """Every string of a module; of an f-string the fixed parts."""
    tree = ast.parse(source, path)
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, " ".join(str(v.value) for v in node.values if isinstance(v, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def names_a_table(text: str, names: set[str]) -> bool:
    words = r"\b(?:from|join|into|update)\s+(?:" + "|".join(sorted(names)) + r")\b"
    return re.search(words, text, re.IGNORECASE) is not None


def test_every_statement_on_a_merchants_table_names_the_merchant(catalogue: sqlalchemy.Connection) -> None:
    mine = tenant_tables(catalogue)
    read = statements()
    forgetful = [(place, text) for place, text in read if names_a_table(text, mine) and "merchant_id" not in text]
    excused = {excuse: some for excuse in WITHOUT_MERCHANT if (some := [s for s in forgetful if fits(s, excuse)])}
    assert [place for place, text in forgetful if not any((place, text) in some for some in excused.values())] == []
    assert excused.keys() == WITHOUT_MERCHANT.keys(), "an excuse that nobody needs any more"
    assert len(read) > 40, "the lint still finds the statements it is there for"


def fits(statement: tuple[str, str], excuse: tuple[str, str]) -> bool:
    return statement[0].startswith(excuse[0]) and excuse[1] in statement[1]
