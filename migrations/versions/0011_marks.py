"""Marking what is due, linear in what a posting changes."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The trigger's function anew; it keeps its grants."""
    run_sql(op.get_bind(), "0011_marks")
