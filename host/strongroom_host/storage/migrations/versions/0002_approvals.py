"""Approvals, kept until the signers have seen them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("request", sa.String(length=32), nullable=False),
        sa.Column("approver", sa.String(length=32), nullable=False),
        sa.Column("decision", sa.String(length=8), nullable=False),
        sa.Column("approval", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["request"], ["requests.request"], name=op.f("fk_approvals_request")),
        sa.PrimaryKeyConstraint("request", "approver", "decision", name=op.f("pk_approvals")),
    )


def downgrade() -> None:
    op.drop_table("approvals")
