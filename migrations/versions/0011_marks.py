"""Marking what is due, linear in what a posting changes."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """The trigger's function anew; it keeps its grants. Only the driver's plain protocol takes `%` as it is."""
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute((SQL / "0011_marks.sql").read_text())
