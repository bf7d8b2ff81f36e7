"""PSBTs for tests, written record by record and apart from the decoder, so that any of it can be made wrong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coincurve

from strongroom.chains.bitcoin import WalletKeys, script_of
from strongroom.chains.bitcoin.transaction import Input, Outpoint, Output, Transaction

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "bitcoin_vectors.json").read_text())

PUBLIC = coincurve.PublicKey.from_secret(bytes(31) + b"\7").format()
ECDSA = WalletKeys("dkls23-secp256k1", PUBLIC, bytes(range(32)))
SCHNORR = WalletKeys("frost-secp256k1-tr", PUBLIC)
WALLETS = {"p2wpkh": ECDSA, "p2tr": SCHNORR}
OTHERS = WalletKeys("dkls23-secp256k1", coincurve.PublicKey.from_secret(b"\3" * 32).format(), bytes(32))

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
"""Of BIP-173's example key, on regtest."""

PAID = script_of(ADDRESS, "regtest")

Path_ = tuple[int, ...]
Records = dict[bytes, bytes]
Paid = tuple[int, bytes] | tuple[int, Path_]
"""Amount and script, or amount and path for change."""


def size(number: int) -> bytes:
    if number < 0xFD:
        return bytes((number,))
    return b"\xfd" + number.to_bytes(2, "little") if number < 1 << 16 else b"\xfe" + number.to_bytes(4, "little")


def string(data: bytes) -> bytes:
    return size(len(data)) + data


def number(value: int, bytes_: int = 4) -> bytes:
    return value.to_bytes(bytes_, "little")


def steps(wallet: WalletKeys, path: Path_) -> bytes:
    """Fingerprint and path, as BIP-174 writes them."""
    return wallet.fingerprint + b"".join(number(step) for step in path)


def derivation(wallet: WalletKeys, path: Path_, *, output: bool = False) -> Records:
    """The one record that names the key of a path."""
    if wallet.kind == "p2tr":
        return {(b"\x07" if output else b"\x16") + wallet.master: b"\0" + steps(wallet, path)}
    return {(b"\x02" if output else b"\x06") + wallet.key(path): steps(wallet, path)}


@dataclass(frozen=True)
class Coin:
    """An output of the wallet, at place `index` of the transaction that paid it."""

    previous: Transaction
    path: Path_ = ()
    index: int = 0

    @property
    def outpoint(self) -> Outpoint:
        return Outpoint(self.previous.txid, self.index)

    @property
    def output(self) -> Output:
        return self.previous.outputs[self.index]


def coin(wallet: WalletKeys, amount: int, path: Path_ = (), seed: int = 0, *, segwit: bool = False) -> Coin:
    stack = (b"signature", b"key") if segwit else ()
    spending = Input(Outpoint(hashlib.sha256(bytes((seed,))).digest(), seed), script=b"\0", witness=stack)
    return Coin(Transaction((spending,), (Output(amount, wallet.script(path)), Output(5, PAID))), path)


@dataclass
class Draft:
    """The maps of a PSBT: change them, then take `payload`."""

    common: Records
    inputs: list[Records]
    outputs: list[Records]
    after: bytes = b""
    unsigned: Transaction | None = field(default=None, repr=False)

    def payload(self) -> bytes:
        maps = [self.common, *self.inputs, *self.outputs]
        written = (b"".join(string(key) + string(value) for key, value in each.items()) + b"\0" for each in maps)
        return b"psbt\xff" + b"".join(written) + self.after


def draft(
    wallet: WalletKeys,
    coins: list[Coin],
    outputs: list[Paid],
    *,
    version: int = 0,
    locktime: int = 0,
    sequence: int = 0xFFFFFFFD,
) -> Draft:
    paid = [Output(amount, to if isinstance(to, bytes) else wallet.script(to)) for amount, to in outputs]
    unsigned = Transaction(tuple(Input(each.outpoint, sequence) for each in coins), tuple(paid), locktime=locktime)
    ins = [_input(wallet, each) for each in coins]
    outs = [derivation(wallet, to, output=True) if isinstance(to, tuple) else {} for _amount, to in outputs]
    if version == 0:
        return Draft({b"\0": unsigned.encode()}, ins, outs, unsigned=unsigned)
    common = {
        b"\x02": number(2),
        b"\x03": number(locktime),
        b"\x04": size(len(ins)),
        b"\x05": size(len(outs)),
        b"\xfb": number(2),
    }
    for records, each in zip(ins, coins, strict=True):
        outpoint = each.outpoint
        records |= {b"\x0e": outpoint.txid, b"\x0f": number(outpoint.index), b"\x10": number(sequence)}
    for records, output in zip(outs, paid, strict=True):
        records |= {b"\x03": number(output.amount, 8), b"\x04": output.script}
    return Draft(common, ins, outs, unsigned=unsigned)


def _input(wallet: WalletKeys, spent: Coin) -> Records:
    told = number(spent.output.amount, 8) + string(spent.output.script)
    proof = {} if wallet.kind == "p2tr" else {b"\0": spent.previous.encode()}
    return proof | {b"\1": told} | derivation(wallet, spent.path)


def simple(wallet: WalletKeys = ECDSA, version: int = 0) -> Draft:
    """Two coins of 600 and 500, 700 to somebody, 300 back: a fee of 100 satoshi. ECDSA wallets use paths."""
    paths: list[Path_] = [(0, 3), (1, 4), (1, 5)] if wallet.derives else [(), (), ()]
    coins = [coin(wallet, 600, paths[0], 0), coin(wallet, 500, paths[1], 1, segwit=True)]
    return draft(wallet, coins, [(700, PAID), (300, paths[2])], version=version)
