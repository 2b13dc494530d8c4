"""From a connected shop to its first correct push: matching, opening stock, and numbers that a person approves."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import Connection

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def _run_file(connection: Connection, path: Path) -> None:
    """A file of many statements: only the driver's plain protocol takes it, and `%` is just a character there."""
    with connection.connection.cursor() as cursor:
        cursor.execute(path.read_text())


def upgrade() -> None:
    """What is new, then secured like what was there."""
    for name in ("0008_matching.sql", "secure_new_tables.sql"):
        _run_file(op.get_bind(), SQL / name)
