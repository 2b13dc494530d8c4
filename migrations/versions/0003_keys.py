"""API keys with scopes."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The keys; then what is new is secured like what was there."""
    run_sql(op.get_bind(), "0003_keys", "secure_new_tables")
