"""What the sync protocol needs to be proved: who is at work, buffers, shadow, causes of drift."""

from __future__ import annotations

from alembic import op

from app.core.migrate import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A file for each topic; then what is new is secured like what was there."""
    run_sql(
        op.get_bind(),
        "0002_at_work",
        "0002_buffers",
        "0002_cases",
        "0002_listings",
        "0002_pace",
        "0002_reading",
        "0002_reading_products",
        "0002_shadow",
        "0002_shop_places",
        "0002_worker_seen",
        "secure_new_tables",
    )
