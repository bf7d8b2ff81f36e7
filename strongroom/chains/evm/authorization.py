"""EIP-7702 authorisations: an account lets the code at an address act as the account, until it says otherwise.

What is signed is keccak-256 of 0x05 ‖ RLP [chain id, address, nonce], and any account's transaction may carry it to the
chain. Code that acts as a wallet moves what the wallet holds without asking its signers: a rule must name it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.chains import rlp
from strongroom.chains.effects import Delegation, Effects
from strongroom.chains.evm.address import SIZE, text
from strongroom.errors import Refusal
from strongroom.schemes import keccak256

MAGIC: Final = 5
"""Before what is signed, where a transaction has its type."""

MAX_SIZE: Final = 64
"""Bytes: a chain id and a nonce of 8 bytes each, an address, and what RLP adds to them, fit easily."""


@dataclass(frozen=True)
class Authorization:
    """Unsigned. code: the 20 bytes of the address whose code is to act as the wallet; zeros take back what was given.

    nonce: of the account that authorises, which it uses up like a transaction.
    """

    chain_id: int
    code: bytes
    nonce: int

    @classmethod
    def decode(cls, payload: bytes) -> Authorization:
        """0x05 and the list of three. Raises Refusal `malformed_transaction` or `unsupported_transaction`."""
        if len(payload) > MAX_SIZE or payload[:1] != bytes((MAGIC,)):
            raise Refusal("malformed_transaction", f"an authorisation is 0x05 and a list, at most {MAX_SIZE} bytes")
        items = rlp.decode(payload[1:])
        if isinstance(items, bytes) or len(items) != 3:
            raise Refusal("malformed_transaction", "an authorisation has a chain id, an address and a nonce")
        chain_id, code, nonce = items
        if not isinstance(code, bytes) or len(code) != SIZE:
            raise Refusal("malformed_transaction", "the code's address is not 20 bytes")
        found = cls(rlp.integer(chain_id, bits=64, what="chain id"), code, rlp.integer(nonce, bits=64, what="nonce"))
        if found.chain_id == 0:
            raise Refusal("unsupported_transaction", "with chain id 0 it would be good on every chain: name one")
        return found

    def encode(self) -> bytes:
        return bytes((MAGIC,)) + rlp.encode(self._items())

    def _items(self) -> list[rlp.Item]:
        return [rlp.encode_integer(self.chain_id), self.code, rlp.encode_integer(self.nonce)]

    def digest(self) -> bytes:
        return keccak256(self.encode())

    def signed(self, signature: bytes) -> bytes:
        """RLP [chain id, address, nonce, y parity, r, s], as a transaction of type 4 lists it. signature: 65 bytes."""
        numbers = (signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"))
        return rlp.encode([*self._items(), *map(rlp.encode_integer, numbers)])

    def effects(self) -> Effects:
        return Effects(
            f"evm:{self.chain_id}", delegations=(Delegation(text(self.code)),), once=(f"nonce:{self.nonce}",)
        )
