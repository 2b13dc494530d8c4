"""The audit log."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The log, secured like every table, then closed to everybody but its function."""
    run_sql(op.get_bind(), "0005_audit", "secure_new_tables", "0005_audit_grants")
