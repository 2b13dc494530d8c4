"""Writes that neither compare nor add."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Attempts say whether they overwrite whatever is there."""
    run_sql(op.get_bind(), "0013_blind_writes")
