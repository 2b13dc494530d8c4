"""A comparison of all numbers that broke off goes on where it was."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """How far it got."""
    run_sql(op.get_bind(), "0022_long_audits", "secure_new_tables")
