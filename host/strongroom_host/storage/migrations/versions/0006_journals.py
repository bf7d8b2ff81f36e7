"""Journals of signers and witnesses, sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "journals",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("journal", sa.String(length=32), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["wallets.order_id"], name=op.f("fk_journals_order_id")),
        sa.PrimaryKeyConstraint("order_id", "journal", name=op.f("pk_journals")),
    )
    op.create_table(
        "blocks",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("journal", sa.String(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["wallets.order_id"], name=op.f("fk_blocks_order_id")),
        sa.PrimaryKeyConstraint("order_id", "journal", "sequence", name=op.f("pk_blocks")),
    )


def downgrade() -> None:
    op.drop_table("blocks")
    op.drop_table("journals")
