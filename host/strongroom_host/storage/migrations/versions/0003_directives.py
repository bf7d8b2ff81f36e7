"""What officers directed after an order, and what signers sealed about it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "directives",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("directive", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["wallets.order_id"], name=op.f("fk_directives_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directives")),
    )
    with op.batch_alter_table("directives", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_directives_order_id"), ["order_id"], unique=False)

    op.create_table(
        "policy_records",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("signer", sa.String(length=32), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["wallets.order_id"], name=op.f("fk_policy_records_order_id")),
        sa.PrimaryKeyConstraint("order_id", "signer", name=op.f("pk_policy_records")),
    )


def downgrade() -> None:
    op.drop_table("policy_records")
    with op.batch_alter_table("directives", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_directives_order_id"))

    op.drop_table("directives")
