"""How far a shop's clock is from ours."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """One column."""
    op.execute((SQL / "0007_shop_clock.sql").read_text())
