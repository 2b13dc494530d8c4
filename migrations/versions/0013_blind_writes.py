"""Writes that neither compare nor add."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import Connection

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def _run_file(connection: Connection, path: Path) -> None:
    """A file of many statements: only the driver's plain protocol takes it, and `%` is just a character there."""
    with connection.connection.cursor() as cursor:
        cursor.execute(path.read_text())


def upgrade() -> None:
    """Attempts say whether they overwrite whatever is there."""
    for name in ("0013_blind_writes",):
        _run_file(op.get_bind(), SQL / f"{name}.sql")
