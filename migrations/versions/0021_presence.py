"""A worker counts as dead when it was missed for a while; looks that fail pause; old attempts can be found."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Who is missed is told apart from what is freed; a row for the looks of each channel."""
    run_sql(op.get_bind(), "0021_presence", "secure_new_tables")
