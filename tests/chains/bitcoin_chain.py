"""A regtest chain, mined here and judged by Bitcoin Core's own validation (libbitcoinkernel)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pbk  # type: ignore[import-untyped]

from strongroom.chains.bitcoin.encoding import compact, u32
from strongroom.chains.bitcoin.hashing import sha256d
from strongroom.chains.bitcoin.transaction import Input, Outpoint, Output, Transaction
from tests.chains.bitcoin_cases import Coin

_GENESIS_TIME = 1296688602
_BITS = 0x207FFFFF
_TARGET = 0x7FFFFF << 8 * (0x20 - 3)
SUBSIDY = 50 * 10**8
MATURITY = 100
"""Blocks after which a coinbase may be spent."""


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes += hashes[-1:] * (len(hashes) % 2)
        hashes = [sha256d(hashes[at] + hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


class Regtest:
    def __init__(self, folder: Path) -> None:
        self._manager = pbk.load_chainman(folder, pbk.ChainType.REGTEST)

    @property
    def height(self) -> int:
        return int(self._manager.get_active_chain().height)

    def mine(self, script: bytes = b"\x51", transactions: tuple[Transaction, ...] = ()) -> Coin | None:
        """The coinbase, paid to `script`; None where Bitcoin Core refuses the block, which only its height shows."""
        height = self.height + 1
        coinbase = _coinbase(height, script, transactions)
        block = self._block(height, (coinbase, *transactions))
        try:
            self._manager.process_block(pbk.Block(block))
        except pbk.ProcessBlockException:
            return None
        return Coin(coinbase) if self.height == height else None

    def _block(self, height: int, transactions: tuple[Transaction, ...]) -> bytes:
        tip = bytes(self._manager.get_active_chain().block_tree_entries[-1].block_hash)
        root = _root([each.txid for each in transactions])
        start = u32(0x20000000) + tip + root + u32(_GENESIS_TIME + 600 * height) + u32(_BITS)
        nonce = 0
        while int.from_bytes(sha256d(start + u32(nonce)), "little") > _TARGET:
            nonce += 1
        return start + u32(nonce) + compact(len(transactions)) + b"".join(each.encode() for each in transactions)


def _coinbase(height: int, script: bytes, transactions: tuple[Transaction, ...]) -> Transaction:
    """Height by BIP-34, and BIP-141's commitment to the witnesses."""
    pushed = bytes((0x50 + height,)) if height <= 16 else b"\2" + height.to_bytes(2, "little")
    if 16 < height < 128:
        pushed = b"\1" + bytes((height,))
    outputs = [Output(SUBSIDY, script)]
    spending = Input(Outpoint(bytes(32), 2**32 - 1), script=pushed + b"\0")
    if transactions:
        seen = _root([bytes(32), *(sha256d(each.encode()) for each in transactions)])
        outputs.append(Output(0, b"\x6a\x24\xaa\x21\xa9\xed" + sha256d(seen + bytes(32))))
        spending = dataclasses.replace(spending, witness=(bytes(32),))
    return Transaction((spending,), tuple(outputs), version=1)


def interpreter_takes(transaction: Transaction, spent: list[Output]) -> bool:
    """Whether every input's witness satisfies the script that it spends, by consensus."""
    theirs = pbk.Transaction(transaction.encode())
    outputs = [pbk.TransactionOutput(pbk.ScriptPubkey(each.script), each.amount) for each in spent]
    known = pbk.script.PrecomputedTransactionData(theirs, outputs)
    flags = pbk.ScriptVerificationFlags.ALL
    return all(
        bool(pbk.ScriptPubkey(each.script).verify(each.amount, theirs, known, place, flags))
        for place, each in enumerate(spent)
    )
