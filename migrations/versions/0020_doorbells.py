"""Doorbells about orders are answered by any reading that began after they rang."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """None of them waits in another's place any more."""
    run_sql(op.get_bind(), "0020_doorbells")
