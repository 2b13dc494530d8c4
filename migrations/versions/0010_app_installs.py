"""Apps that a platform installs: consents under way, what the platform tells about our app, privacy requests."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A file for each topic; then what is new is secured like what was there."""
    run_sql(op.get_bind(), "0010_app_installs", "secure_new_tables")
