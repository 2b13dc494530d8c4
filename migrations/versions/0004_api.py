"""What the API keeps between two requests."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables; then what is new is secured like what was there."""
    run_sql(op.get_bind(), "0004_api", "secure_new_tables")
