"""Webhooks to others: endpoints, events, deliveries."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables; then what is new is secured like what was there."""
    run_sql(op.get_bind(), "0009_webhooks_out", "secure_new_tables")
