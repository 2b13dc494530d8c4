"""History is sealed."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import Connection

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"


def _run_file(connection: Connection, path: Path) -> None:
    """A file of many statements: only the driver's plain protocol takes it, and `%` is just a character there."""
    with connection.connection.cursor() as cursor:
        cursor.execute(path.read_text())


def upgrade() -> None:
    """The chain of seals; secured, and then nobody changes a seal."""
    for name in ("0014_history_seal", "secure_new_tables", "0014_seal_grants"):
        _run_file(op.get_bind(), SQL / f"{name}.sql")
