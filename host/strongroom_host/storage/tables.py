"""The schema. Integers are Unix seconds but for `at` (milliseconds); amounts are never stored as numbers."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

WALLETS: Final = sa.Table(
    "wallets",
    METADATA,
    # The id of the order until the key exists, so that one order makes one wallet.
    sa.Column("order_id", sa.String(64), primary_key=True),
    sa.Column("wallet", sa.String(64), unique=True),
    sa.Column("phase", sa.String(16), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("idempotency", sa.String(64), unique=True),
    sa.Column("signed_order", sa.LargeBinary, nullable=False),
    sa.Column("dealt", sa.LargeBinary),
    sa.Column("certificate", sa.LargeBinary),
    sa.Column("created", sa.BigInteger, nullable=False),
)

RECORDS: Final = sa.Table(
    "records",
    METADATA,
    sa.Column("order_id", sa.String(64), sa.ForeignKey("wallets.order_id"), primary_key=True),
    sa.Column("signer", sa.String(32), primary_key=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

DIRECTIVES: Final = sa.Table(
    "directives",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("order_id", sa.String(64), sa.ForeignKey("wallets.order_id"), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("directive", sa.LargeBinary, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
)

POLICY_RECORDS: Final = sa.Table(
    "policy_records",
    METADATA,
    sa.Column("order_id", sa.String(64), sa.ForeignKey("wallets.order_id"), primary_key=True),
    sa.Column("signer", sa.String(32), primary_key=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

SHOWN: Final = sa.Table(
    "shown",
    METADATA,
    sa.Column("request", sa.String(32), primary_key=True),
    sa.Column("shown", sa.LargeBinary, nullable=False),
)

REQUESTS: Final = sa.Table(
    "requests",
    METADATA,
    sa.Column("request", sa.String(32), primary_key=True),
    sa.Column("wallet", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("intent", sa.LargeBinary, nullable=False),
    sa.Column("intent_signature", sa.LargeBinary, nullable=False),
    sa.Column("idempotency", sa.String(64), unique=True),
    sa.Column("slot", sa.String(240), index=True),
    sa.Column("replaces", sa.String(32), index=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("signers", sa.String(320), nullable=False),
    sa.Column("worker", sa.Integer),
    # A list, in CBOR.
    sa.Column("signatures", sa.LargeBinary),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("hash", sa.String(96)),
    sa.Column("chain_id", sa.String(20)),
    sa.Column("nonce", sa.String(20)),
    sa.Column("block", sa.BigInteger),
    sa.Column("block_hash", sa.String(64)),
    sa.Column("confirmations", sa.Integer, nullable=False, server_default="0"),
    sa.Column("status", sa.String(16)),
    sa.Column("error", sa.Text),
    sa.Column("at", sa.BigInteger, nullable=False),
)

APPROVALS: Final = sa.Table(
    "approvals",
    METADATA,
    sa.Column("request", sa.String(32), sa.ForeignKey("requests.request"), primary_key=True),
    sa.Column("approver", sa.String(32), primary_key=True),
    sa.Column("decision", sa.String(8), primary_key=True),
    sa.Column("approval", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
)

TRANSITIONS: Final = sa.Table(
    "transitions",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("request", sa.String(32), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("at", sa.BigInteger, nullable=False),
)

JOURNALS: Final = sa.Table(
    "journals",
    METADATA,
    sa.Column("order_id", sa.String(64), sa.ForeignKey("wallets.order_id"), primary_key=True),
    sa.Column("journal", sa.String(32), primary_key=True),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)

WAIVERS: Final = sa.Table(
    "waivers",
    METADATA,
    sa.Column("order_id", sa.String(64), sa.ForeignKey("wallets.order_id"), primary_key=True),
    sa.Column("waiver", sa.LargeBinary, nullable=False),
)

BLOCKS: Final = sa.Table(
    "blocks",
    METADATA,
    sa.Column("order_id", sa.String(64), sa.ForeignKey("wallets.order_id"), primary_key=True),
    sa.Column("journal", sa.String(32), primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("block", sa.LargeBinary, nullable=False),
)
