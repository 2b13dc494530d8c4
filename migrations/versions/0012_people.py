"""People, what they may do, and their sessions."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """People and memberships; then what is new is secured like what was there."""
    run_sql(op.get_bind(), "0012_people", "secure_new_tables")
