"""Officers' waivers: which journals go on without the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "waivers",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("waiver", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["wallets.order_id"], name=op.f("fk_waivers_order_id")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_waivers")),
    )


def downgrade() -> None:
    op.drop_table("waivers")
