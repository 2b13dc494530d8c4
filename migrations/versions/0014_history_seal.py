"""History is sealed."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The chain of seals; secured, and then nobody changes a seal."""
    run_sql(op.get_bind(), "0014_history_seal", "secure_new_tables", "0014_seal_grants")
