"""What a PSBT would do, if the wallet signed all of it.

1.  The PSBT is decoded in full (`psbt`), and brings no field on which a judgement would have to rely unseen.
2.  Every input spends an output whose script the signer derives from the wallet's own key; no outpoint stands twice.
3.  Amounts are known. An ECDSA signature commits to its own input's amount alone (BIP-143), so that a host could show
    each of two inputs too small in one of two requests, take one signature from each, and have the difference go to
    miners (CVE-2020-14199). P2WPKH therefore needs the previous transactions, whose hashes the outpoints are. A Taproot
    signature commits to the amounts and scripts of all inputs (BIP-341, sha_amounts and sha_scriptpubkeys), and all
    inputs are the wallet's: a wrong amount makes a signature that no node takes, so a witness UTXO is enough.
4.  An output is change where the signer derives its script itself; every other one is a transfer, and is judged.
5.  The fee is what inputs have and outputs have not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from strongroom.chains.bitcoin import script
from strongroom.chains.bitcoin.encoding import malformed, unsupported
from strongroom.chains.bitcoin.keys import Path, WalletKeys
from strongroom.chains.bitcoin.psbt import Map, Psbt
from strongroom.chains.bitcoin.sighash import ALL, DEFAULT, Commitments
from strongroom.chains.bitcoin.transaction import MAX_MONEY, Output
from strongroom.chains.effects import Call, Effects, ToSign, Transfer
from strongroom.errors import Refusal

VERSIONS: Final = (1, 2, 3)
"""Of transactions that nodes relay. Version 0 is BIP-322's, whose messages must not pass for transactions."""

MAX_INDEX: Final = 1 << 20
"""Of change: an address beyond it would be the wallet's, and nobody would find it again."""

_SPENDING: Final = frozenset({0x0E, 0x0F, 0x10, 0x11, 0x12})
_INPUT_FIELDS: Final = {
    "p2wpkh": _SPENDING | {0x00, 0x01, 0x03, 0x06},
    "p2tr": _SPENDING | {0x00, 0x01, 0x03, 0x16, 0x17},
}
_OUTPUT_FIELDS: Final = frozenset({0x02, 0x03, 0x04, 0x05, 0x07})
_GLOBAL_FIELDS: Final = frozenset({0x00, 0x02, 0x03, 0x04, 0x05, 0x06, 0xFB})
_HASH_TYPES: Final = {"p2wpkh": {None: ALL, ALL: ALL}, "p2tr": {None: DEFAULT, DEFAULT: DEFAULT, ALL: ALL}}
_DERIVATIONS: Final = {"p2wpkh": (0x06, 0x02), "p2tr": (0x16, 0x07)}
"""Types of the derivation in an input's map and in an output's."""


@dataclass(frozen=True)
class Decoded:
    """to_sign: one for each input, in their order."""

    effects: Effects
    to_sign: tuple[ToSign, ...]
    psbt: Psbt


def decode(payload: bytes, wallet: WalletKeys, network: str) -> Decoded:
    """network: the wallet's own, from its order or policy and never from a request: nothing in a Bitcoin transaction
    says where it is valid, and one that is judged for regtest spends on mainnet whatever lies there.

    Raises Refusal `malformed_transaction`, `unsupported_transaction`, or `intent_mismatch` for another wallet's input.
    """
    script.network(network)
    kind = wallet.kind
    psbt = Psbt.decode(payload)
    _check_fields(psbt, kind)
    outpoints = [each.outpoint for each in psbt.transaction.inputs]
    if len(set(outpoints)) != len(outpoints):
        raise malformed("an output is spent twice")
    spent = [_spent(psbt, number, kind) for number in range(len(outpoints))]
    paths = [_path(psbt.inputs[number], wallet, each, number) for number, each in enumerate(spent)]
    effects = _effects(psbt, wallet, network, sum(each.amount for each in spent), paths)
    return Decoded(effects, _to_sign(psbt, kind, spent, paths), psbt)


def hash_type(found: Map, kind: str) -> int:
    """Raises Refusal `unsupported_transaction` for every sighash type but ALL, and DEFAULT of Taproot."""
    asked = found.one(0x03, int)
    chosen = _HASH_TYPES[kind].get(asked)
    if chosen is None:
        raise unsupported(f"sighash type {asked} does not sign the whole transaction")
    return chosen


def _check_fields(psbt: Psbt, kind: str) -> None:
    _only(psbt.common, _GLOBAL_FIELDS, "the PSBT")
    for number, each in enumerate(psbt.inputs):
        _only(each, _INPUT_FIELDS[kind], f"input {number}")
    for number, each in enumerate(psbt.outputs):
        _only(each, _OUTPUT_FIELDS, f"output {number}")
    if psbt.common.one(0x06, int):
        raise unsupported("the PSBT says that inputs or outputs may still change (BIP-370): have it finished first")
    if psbt.transaction.version not in VERSIONS:
        raise unsupported(f"transactions of version {psbt.transaction.version} are not signed")


def _only(found: Map, known: frozenset[int], where: str) -> None:
    for (type_, _data), name in zip(found.values, found.names, strict=True):
        if type_ not in known:
            raise unsupported(f"{where} brings a {name}, which this wallet's transactions do not have")


def _spent(psbt: Psbt, number: int, kind: str) -> Output:
    if kind == "p2wpkh" and psbt.previous(number) is None:
        raise unsupported(f"input {number} brings no previous transaction, so its amount cannot be verified (BIP-143)")
    output = psbt.spent(number)
    if output.amount == 0:
        raise unsupported(f"input {number} spends nothing: BIP-322's messages look like that")
    return output


def _path(found: Map, wallet: WalletKeys, spent: Output, number: int) -> Path:
    """The path of an input's key. P2WPKH needs it, since the witness will show the key; P2TR may leave it out."""
    known = found.origins(_DERIVATIONS[wallet.kind][0])
    internal = found.one(0x17, bytes)
    path: Path = ()
    if known or wallet.kind == "p2wpkh":
        if len(known) != 1:
            raise unsupported(f"input {number} names {len(known)} keys with their derivation, not the one that signs")
        key, origin = known[0]
        path = origin.path
        if origin.fingerprint != wallet.fingerprint or origin.leaves or wallet.key(path) != key:
            raise _foreign(number)
    if internal not in (None, wallet.master) or spent.script != wallet.script(path):
        raise _foreign(number)
    return path


def _foreign(number: int) -> Refusal:
    return Refusal("intent_mismatch", f"input {number} is not this wallet's, by its script, key or derivation")


def _to_sign(psbt: Psbt, kind: str, spent: list[Output], paths: list[Path]) -> tuple[ToSign, ...]:
    common = Commitments.of(psbt.transaction, spent)
    signing = []
    for number, (output, path) in enumerate(zip(spent, paths, strict=True)):
        chosen = hash_type(psbt.inputs[number], kind)
        if kind == "p2tr":
            digest = common.p2tr(number, chosen)
        else:
            digest = common.p2wpkh(number, script.recognise(output.script)[1], output.amount)
        signing.append(ToSign(digest, path))
    return tuple(signing)


def _effects(psbt: Psbt, wallet: WalletKeys, network: str, total: int, paths: list[Path]) -> Effects:
    chain = f"bitcoin:{network}"
    native = f"{chain}/native"
    transfers: list[Transfer] = []
    calls: list[Call] = []
    for output, found in zip(psbt.transaction.outputs, psbt.outputs, strict=True):
        carried = script.data(output.script)
        if carried is not None:
            calls.append(_note(output, carried))
        elif not _is_change(found, output, wallet, paths):
            transfers.append(Transfer(native, script.address_of(output.script, network), output.amount))
    fee = total - sum(each.amount for each in psbt.transaction.outputs)
    if fee < 0 or total > MAX_MONEY:
        raise malformed("the outputs pay more than the inputs have, or the inputs have more than there can be")
    return Effects(
        chain,
        tuple(transfers),
        calls=tuple(calls),
        fee_asset=native,
        fee_ceiling=fee,
        once=tuple(f"outpoint:{each.outpoint}" for each in psbt.transaction.inputs),
    )


def _note(output: Output, carried: bytes) -> Call:
    """OP_RETURN: no node acts on it, but others do (a bridge pays whom the note names). So it is a call, which a rule
    must allow by its first bytes, as a contract's method."""
    if output.amount:
        raise unsupported("OP_RETURN with an amount destroys it")
    return Call("op_return", f"0x{carried[:4].hex()}", carried)


def _is_change(found: Map, output: Output, wallet: WalletKeys, paths: list[Path]) -> bool:
    known = found.origins(_DERIVATIONS[wallet.kind][1])
    if len(known) != 1:
        return False
    key, origin = known[0]
    if origin.fingerprint != wallet.fingerprint or origin.leaves or (origin.path and not wallet.derives):
        return False
    if not _findable(origin.path, paths):
        return False
    return wallet.key(origin.path) == key and wallet.script(origin.path) == output.script


def _findable(path: Path, spent: list[Path]) -> bool:
    """Whether somebody with the key alone would look there: at the key itself, at 0/i and 1/i, or beside what is spent.
    Otherwise a host could send change far away, and sell the path."""
    if not path:
        return True
    if path[-1] >= MAX_INDEX:
        return False
    parents = {each[:-1] for each in spent if each} | {(), (0,), (1,)}
    return path[:-1] in parents | {(*parent[:-1], chain) for parent in parents if parent for chain in (0, 1)}
