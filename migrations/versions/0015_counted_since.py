"""A number's belief says since when it counts."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of numbers known before, everything counts, as it did."""
    run_sql(op.get_bind(), "0015_counted_since")
