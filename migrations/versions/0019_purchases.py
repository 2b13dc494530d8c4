"""Goods bought in another currency: what was paid, at which rate of which day."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table beside the movements, closed to changes, and part of what is sealed."""
    run_sql(op.get_bind(), "0019_purchases", "secure_new_tables", "0019_purchases_grants")
