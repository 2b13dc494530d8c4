"""Apps that a platform installs: consents under way, what the platform tells about our app, privacy requests."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import Connection

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def _run_file(connection: Connection, path: Path) -> None:
    """A file of many statements: only the driver's plain protocol takes it, and `%` is just a character there."""
    with connection.connection.cursor() as cursor:
        cursor.execute(path.read_text())


def upgrade() -> None:
    """A file for each topic; then what is new is secured like what was there."""
    for path in [*sorted(SQL.glob("0010_app_installs*.sql")), SQL / "secure_new_tables.sql"]:
        _run_file(op.get_bind(), path)
