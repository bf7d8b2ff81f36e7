"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("request", sa.String(length=32), nullable=False),
        sa.Column("wallet", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("intent", sa.LargeBinary(), nullable=False),
        sa.Column("intent_signature", sa.LargeBinary(), nullable=False),
        sa.Column("idempotency", sa.String(length=64), nullable=True),
        sa.Column("slot", sa.String(length=160), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("signers", sa.String(length=320), nullable=False),
        sa.Column("worker", sa.Integer(), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=True),
        sa.Column("chain_id", sa.String(length=20), nullable=True),
        sa.Column("nonce", sa.String(length=20), nullable=True),
        sa.Column("block", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.String(length=64), nullable=True),
        sa.Column("confirmations", sa.Integer(), server_default="0", nullable=False),
        sa.Column("status", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("request", name=op.f("pk_requests")),
        sa.UniqueConstraint("idempotency", name=op.f("uq_requests_idempotency")),
    )
    with op.batch_alter_table("requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_requests_slot"), ["slot"], unique=False)
        batch_op.create_index(batch_op.f("ix_requests_wallet"), ["wallet"], unique=False)

    op.create_table(
        "transitions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transitions")),
    )
    with op.batch_alter_table("transitions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_transitions_request"), ["request"], unique=False)

    op.create_table(
        "wallets",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("wallet", sa.String(length=64), nullable=True),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("idempotency", sa.String(length=64), nullable=True),
        sa.Column("signed_order", sa.LargeBinary(), nullable=False),
        sa.Column("dealt", sa.LargeBinary(), nullable=True),
        sa.Column("certificate", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_wallets")),
        sa.UniqueConstraint("idempotency", name=op.f("uq_wallets_idempotency")),
        sa.UniqueConstraint("wallet", name=op.f("uq_wallets_wallet")),
    )
    op.create_table(
        "records",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("signer", sa.String(length=32), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["wallets.order_id"], name=op.f("fk_records_order_id")),
        sa.PrimaryKeyConstraint("order_id", "signer", name=op.f("pk_records")),
    )


def downgrade() -> None:
    op.drop_table("records")
    op.drop_table("wallets")
    with op.batch_alter_table("transitions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_transitions_request"))

    op.drop_table("transitions")
    with op.batch_alter_table("requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_requests_wallet"))
        batch_op.drop_index(batch_op.f("ix_requests_slot"))

    op.drop_table("requests")
