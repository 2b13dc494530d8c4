"""How many of a channel's orders nobody told us of."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import Connection

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def _run_file(connection: Connection, path: Path) -> None:
    """A file of many statements: only the driver's plain protocol takes it, and `%` is just a character there."""
    with connection.connection.cursor() as cursor:
        cursor.execute(path.read_text())


def upgrade() -> None:
    """None are known to have been missed."""
    _run_file(op.get_bind(), SQL / "0016_missed.sql")
