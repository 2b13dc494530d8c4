"""A number that is to be looked at a while later is no work until then."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is to be done, without looks that are not due yet."""
    run_sql(op.get_bind(), "0023_later_looks")
