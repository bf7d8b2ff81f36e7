"""What signers are shown beside an intent: proofs of long lists, where a request came from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shown",
        sa.Column("request", sa.String(length=32), nullable=False),
        sa.Column("shown", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("request", name=op.f("pk_shown")),
    )


def downgrade() -> None:
    op.drop_table("shown")
