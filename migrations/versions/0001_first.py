"""The whole schema of the first release: catalogue, ledger, channels, inbox, belief, tenancy."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

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


def upgrade() -> None:
    """Create everything; the application's role is made where the server has none."""
    connection = op.get_bind()
    if connection.exec_driver_sql("select current_user").scalar() != "perpetual_owner":
        connection.exec_driver_sql(ROLE)
    run_sql(connection, "0001_catalog_and_ledger", "0001_channels_and_sync", "0001_tenancy")
