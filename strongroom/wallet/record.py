"""The sealed record: all that a signer's share needs to come back after a restart, readable by that signer alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from strongroom.errors import Refusal
from strongroom.wallet.order import SignedOrder
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

MAX_SIZE = 1 << 19


@dataclass(frozen=True)
class Record:
    """signer and what follows are in the clear and bound by the seals; share is sealed under the wrapped data key."""

    signer: str
    wallet: bytes
    epoch: int
    order: SignedOrder
    transcript: bytes
    wrapped: bytes
    share: bytes

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "signer": self.signer,
                "wallet": self.wallet,
                "epoch": self.epoch,
                "order": self.order.encode(),
                "transcript": self.transcript,
                "wrapped": self.wrapped,
                "share": self.share,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Record:
        if len(data) > MAX_SIZE:
            raise Refusal("oversized_message", f"a sealed record of {len(data)} bytes is over {MAX_SIZE}")
        fields = Fields.decode(data, "record")
        fields.version()
        record = cls(
            fields.text("signer"),
            fields.blob("wallet", size=32),
            fields.integer("epoch", least=1),
            SignedOrder.decode(fields.blob("order")),
            fields.blob("transcript", size=32),
            fields.blob("wrapped", most=8192),
            fields.blob("share", most=1 << 16),
        )
        fields.end()
        return record


def sealing_context(signer: str, wallet: bytes, epoch: int) -> dict[str, str]:
    """What the data key is wrapped for: KMS's encryption context, or AAD beside an HSM."""
    return {"signer": signer, "wallet": wallet.hex(), "epoch": str(epoch), "kind": "share"}


def share_aad(signer: str, wallet: bytes, epoch: int, order: bytes, transcript: bytes) -> bytes:
    """order: the order's id."""
    value: dict[str, cbor.Value] = {
        "signer": signer,
        "wallet": wallet,
        "epoch": epoch,
        "order": order,
        "transcript": transcript,
    }
    return hashlib.sha256(b"strongroom/record/v1" + cbor.encode(value)).digest()
