"""Several signatures for one request; names of transactions and slots of derived keys are longer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("requests") as table:
        # One signature was kept bare; now it is a list in CBOR. Finished requests of before keep their transaction.
        table.drop_column("signature")
        table.add_column(sa.Column("signatures", sa.LargeBinary(), nullable=True))
        table.alter_column("hash", existing_type=sa.String(length=64), type_=sa.String(length=96))
        table.alter_column("slot", existing_type=sa.String(length=160), type_=sa.String(length=240))


def downgrade() -> None:
    with op.batch_alter_table("requests") as table:
        table.drop_column("signatures")
        table.add_column(sa.Column("signature", sa.LargeBinary(), nullable=True))
        table.alter_column("hash", existing_type=sa.String(length=96), type_=sa.String(length=64))
        table.alter_column("slot", existing_type=sa.String(length=240), type_=sa.String(length=160))
