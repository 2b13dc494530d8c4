"""How far a shop's clock is from ours."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One column."""
    run_sql(op.get_bind(), "0007_shop_clock")
