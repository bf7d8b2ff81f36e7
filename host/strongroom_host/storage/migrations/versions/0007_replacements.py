"""Which request an intent takes the place of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("replaces", sa.String(length=32), nullable=True))
    op.create_index(op.f("ix_requests_replaces"), "requests", ["replaces"])


def downgrade() -> None:
    op.drop_index(op.f("ix_requests_replaces"), table_name="requests")
    op.drop_column("requests", "replaces")
