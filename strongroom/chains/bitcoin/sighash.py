"""What is signed: BIP-143 for P2WPKH, BIP-341 for the key path of P2TR. All inputs and all outputs, nothing less.

SIGHASH_NONE, SINGLE and ANYONECANPAY leave parts of the transaction to whoever gets the signature, so there is no
function for them here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from strongroom.chains.bitcoin import script
from strongroom.chains.bitcoin.encoding import prefixed, u32, u64
from strongroom.chains.bitcoin.hashing import sha256d, tagged
from strongroom.chains.bitcoin.transaction import Output, Transaction

DEFAULT: Final = 0
ALL: Final = 1


@dataclass(frozen=True)
class Commitments:
    """What the signatures of all inputs share, hashed once so that the cost grows with the transaction, not its square.

    Each is one SHA-256, as BIP-341 has them; BIP-143 hashes the first three twice.
    """

    transaction: Transaction
    prevouts: bytes
    sequences: bytes
    outputs: bytes
    amounts: bytes
    scripts: bytes

    @classmethod
    def of(cls, transaction: Transaction, spent: Sequence[Output]) -> Commitments:
        """spent: the output that each input spends, in their order."""
        return cls(
            transaction,
            _joined(each.outpoint.encode() for each in transaction.inputs),
            _joined(u32(each.sequence) for each in transaction.inputs),
            _joined(each.encode() for each in transaction.outputs),
            _joined(u64(each.amount) for each in spent),
            _joined(prefixed(each.script) for each in spent),
        )

    def p2wpkh(self, number: int, key_hash: bytes, amount: int) -> bytes:
        """BIP-143 with SIGHASH_ALL. The script code is the P2PKH script of the key's hash."""
        spending = self.transaction.inputs[number]
        return sha256d(
            u32(self.transaction.version)
            + sha256(self.prevouts).digest()
            + sha256(self.sequences).digest()
            + spending.outpoint.encode()
            + prefixed(script.write("p2pkh", key_hash))
            + u64(amount)
            + u32(spending.sequence)
            + sha256(self.outputs).digest()
            + u32(self.transaction.locktime)
            + u32(ALL)
        )

    def p2tr(self, number: int, hash_type: int = DEFAULT) -> bytes:
        """BIP-341's key path without an annex. hash_type: DEFAULT or ALL."""
        return tagged("TapSighash", self.p2tr_message(number, hash_type))

    def p2tr_message(self, number: int, hash_type: int) -> bytes:
        """BIP-341's epoch and SigMsg."""
        if hash_type not in (DEFAULT, ALL):
            raise ValueError("signatures over less than the whole transaction are not made")
        return (
            bytes((0, hash_type))
            + u32(self.transaction.version)
            + u32(self.transaction.locktime)
            + self.prevouts
            + self.amounts
            + self.scripts
            + self.sequences
            + self.outputs
            + b"\0"
            + u32(number)
        )


def _joined(parts: Iterable[bytes]) -> bytes:
    return sha256(b"".join(parts)).digest()
