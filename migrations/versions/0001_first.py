"""The whole schema of the first release: catalogue, ledger, channels, inbox, belief, tenancy."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import Connection

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"
ROLE = """
do $$ begin
    if not exists (select from pg_roles where rolname = 'perpetual_app') then
        create role perpetual_app nologin nosuperuser nobypassrls;
    end if;
    if not pg_has_role(current_user, 'perpetual_app', 'set') then
        execute format('grant perpetual_app to %I', current_user);
    end if;
end $$
"""


def _run_file(connection: Connection, path: Path) -> None:
    """A file of many statements: only the driver's plain protocol takes it, and `%` is just a character there."""
    with connection.connection.cursor() as cursor:
        cursor.execute(path.read_text())


def upgrade() -> None:
    """Create everything; the application's role is made where the server has none."""
    connection = op.get_bind()
    if connection.exec_driver_sql("select current_user").scalar() != "perpetual_owner":
        connection.exec_driver_sql(ROLE)
    for name in ("0001_catalog_and_ledger", "0001_channels_and_sync", "0001_tenancy"):
        _run_file(connection, SQL / f"{name}.sql")
