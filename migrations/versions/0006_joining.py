"""Shops that are being joined, and checks of channels."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables; then what is new is secured like what was there."""
    run_sql(op.get_bind(), "0006_joining", "secure_new_tables")
