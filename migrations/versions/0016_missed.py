"""How many of a channel's orders nobody told us of."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """None are known to have been missed."""
    run_sql(op.get_bind(), "0016_missed")
