"""From a connected shop to its first correct push: matching, opening stock, and numbers that a person approves."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is new, then secured like what was there."""
    run_sql(op.get_bind(), "0008_matching", "secure_new_tables")
