"""Stock as it was known at a time: movements are found by when they were recorded."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An index of a few pages, in the order in which movements are written anyway."""
    run_sql(op.get_bind(), "0017_as_known_at")
