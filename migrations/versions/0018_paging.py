"""How far the pages of a catalogue were read."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is under way begins again at its first page, once."""
    run_sql(op.get_bind(), "0018_paging")
