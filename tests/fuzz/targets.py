"""Every decoder that meets bytes of somebody who may lie, and what it is fed from.

A new decoder is one line of TARGETS; `test_no_decoder_is_forgotten` asks for it.
"""

from __future__ import annotations

import dataclasses
import json
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from strongroom.approval.approval import Approval
from strongroom.chains import evm, message, rlp
from strongroom.chains.bitcoin import bech32
from strongroom.chains.bitcoin import effects as bitcoin
from strongroom.chains.bitcoin import message as bitcoin_message
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.chains.bitcoin.psbt import Psbt
from strongroom.chains.bitcoin.transaction import Transaction as BitcoinTransaction
from strongroom.chains.evm import calls, permits, personal
from strongroom.chains.evm.authorization import Authorization
from strongroom.chains.evm.typed_data import TypedData
from strongroom.chains.solana import base58, offchain, programs
from strongroom.chains.solana.message import Message
from strongroom.channel import bundle
from strongroom.channel.envelope import Envelope
from strongroom.errors import Refusal
from strongroom.evidence import nitro, pkcs11
from strongroom.evidence.verify import read_document
from strongroom.intent.decoding import decode
from strongroom.intent.intent import Intent, Kind
from strongroom.policy.document import Policy
from strongroom.policy.lists import Entry, Proof, Prover
from strongroom.policy.shown import NOTHING, Shown
from strongroom.signer.configuration import Configuration
from strongroom.wallet.certificate import Body, Certificate
from strongroom.wallet.order import Order, SignedOrder
from strongroom.wallet.record import Record
from strongroom.wire import cbor, frame
from strongroom.wire.fields import Fields
from strongroom_client.reviewing import rebuilds
from tests.approval.keys import assertion, held
from tests.chains import solana_cases as solana
from tests.chains.bitcoin_cases import ECDSA, coin, simple
from tests.chains.test_evm_calls import KNOWN
from tests.chains.test_evm_typed_data import MAIL
from tests.client.reviewing import KEY, statement
from tests.evidence import test_pkcs11
from tests.fuzz.directive_targets import DIRECTIVES
from tests.fuzz.handshake_targets import HANDSHAKE
from tests.fuzz.journal_targets import JOURNAL
from tests.fuzz.release_targets import RELEASES
from tests.fuzz.target import Target, coded, made
from tests.hsm.authority import Authority
from tests.policy.test_document import EVERYTHING
from tests.simulator.bench import NOW, Bench
from tests.wallet import orders
from tests.wallet.test_certificate import honest

# --- Wire ---


def _foreign(data: bytes) -> None:
    cbor.decode_foreign(data)


def _request(data: bytes) -> bytes:
    operation, fields = frame.decode_request(data)
    return frame.encode_request(operation, {key: fields.raw(key) for key in KEYS})


def _answer(data: bytes) -> None:
    frame.decode_answer(data)


KEYS = ("count", "more")
"""Of the request that is changed: one that has them all and no others is written again."""


def _refusal() -> bytes:
    return frame.encode_refusal(Refusal("aborted", "why", culprits=("a", "b"), verdict="proof", proof=b"proof"))


def _values() -> bytes:
    return cbor.encode({"a": [1, -1, 2**64 - 1, b"bytes", "text", True, None], "b": {"c": {}}, "d": [[], [[b""]]]})


# --- Chains ---


def _typed_data(data: bytes) -> None:
    document = TypedData.decode(data)
    permits.effects(document)
    assert len(document.digest) == 32


def _personal(data: bytes) -> None:
    personal.effects(1, data)


def _transfer() -> evm.Transaction:
    return evm.Transaction(1, 7, 10**9, 10**11, 21_000, bytes(range(20)), 10**18, b"\xa9\x05\x9c\xbb" + bytes(64))


def _evm(data: bytes) -> bytes:
    transaction = evm.Transaction.decode(data)
    transaction.effects()
    return transaction.encode()


def _authorization(data: bytes) -> bytes:
    given = Authorization.decode(data)
    given.effects()
    return given.encode()


def _call(data: bytes) -> None:
    calls.understand("evm:1", bytes(20), 0, data, bytes(range(20)))


def _address(data: bytes) -> bytes:
    """As a policy's author writes it: with its checksum, or without any."""
    written = _letters(data)
    raw = evm.parse_address(written)
    return (evm.text(raw) if written.islower() else evm.checksum(raw)).encode()


def _segwit(data: bytes) -> bytes:
    written = _letters(data)
    again = bech32.encode("bc", *bech32.decode("bc", written))
    return (again.upper() if written.isupper() else again).encode()


def _base58(data: bytes) -> bytes:
    return base58.encode(base58.decode(_letters(data), 32)).encode()


def _letters(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _legacy() -> bytes:
    return rlp.encode([b"\7", b"\1", b"\x52\x08", bytes(range(20)), b"\1", b"", b"\1", b"", b""])


def _psbt(data: bytes) -> bytes:
    read = Psbt.decode(data)
    bitcoin.decode(data, ECDSA, "regtest")
    return read.encode()


def _solana(data: bytes) -> bytes:
    read = Message.decode(data)
    programs.effects(read, solana.WALLET, "mainnet")
    return read.encode()


def _unsigned() -> bytes:
    unsigned = simple().unsigned
    assert unsigned is not None
    return unsigned.encode()


def _bitcoin_message(data: bytes) -> None:
    bitcoin_message.effects(data, "mainnet")


TRANSFER = cache(lambda: solana.transfer(5))


def _solana_legacy() -> bytes:
    return solana.message(TRANSFER(), version=None)


def _offchain(data: bytes) -> None:
    offchain.effects("mainnet", data)


def _text(data: bytes) -> None:
    message.effects(data)


# --- Evidence ---

BENCH = cache(Bench)
TOKEN = cache(lambda: test_pkcs11.Signer(Authority(), key=ec.generate_private_key(ec.SECP256R1())))


def _nitro(data: bytes) -> None:
    nitro.verify(data, root=BENCH().trust, at=NOW)


def _pkcs11(data: bytes) -> None:
    pkcs11.verify(data, root=TOKEN().root, at=test_pkcs11.NOW)


def _read(data: bytes) -> None:
    read_document(data)


def _rebuild(data: bytes) -> None:
    rebuilds.verify(data)


# --- Custody ---


def _intent() -> bytes:
    return Intent(bytes(32), "message", b"hello", bytes(16), bytes(32), 1, bytes(32)).encode()


def _asked(kind: Kind, chain: str, payload: bytes, path: tuple[int, ...] = ()) -> bytes:
    return Intent(
        bytes(32), kind, payload, bytes(16), bytes(32), 1, bytes(32), chain, path, replaces=b"\1" * 16
    ).encode()


def _judged(data: bytes) -> bytes:
    """As far as a signer decodes it before the policy has its say: for a wallet that could have the kind."""
    intent = Intent.decode(data)
    keys = WalletKeys("frost-ed25519", solana.WALLET) if intent.kind.startswith("solana") else ECDSA
    decoded = decode(intent, keys)
    assert decoded.to_sign and decoded.effects.chain == intent.chain
    return intent.encode()


def _bundle(data: bytes) -> bytes:
    return bundle.join(bundle.split(data, 3))


def _record() -> bytes:
    return Record("a", bytes(32), 1, orders.signed(orders.order()), bytes(32), b"wrapped", b"share").encode()


def _envelope() -> bytes:
    return Envelope(1, bytes(32), b"broadcast", bytes(64), b"private").encode()


def _approval() -> bytes:
    return Approval("alice", "approve", bytes(64)).encode()


def _assertion() -> bytes:
    return Approval("bob", "reject", assertion(held("bob", algorithm="p256", passkey=True).secret, bytes(32))).encode()


def _passkeys() -> bytes:
    """Everything that a policy can have, and somebody who approves with a passkey."""
    approvers = (*EVERYTHING.approvers, held("cy", algorithm="p256", passkey=True).approver)
    return cbor.encode(dataclasses.replace(EVERYTHING, approvers=approvers).value())


def _policy(data: bytes) -> bytes:
    return cbor.encode(Policy.parse(Fields.decode(data, "policy")).value())


def _proof(data: bytes) -> bytes:
    return cbor.encode(Proof.parse(cbor.decode(data)).value())


def _inclusion() -> bytes:
    entries = [Entry(f"0x{number:040x}", "Somebody", number) for number in range(5)]
    proof = Prover("many", entries).prove(entries[3].address)
    assert proof is not None
    return cbor.encode(proof.value())


def _shown() -> bytes:
    return Shown((Proof.parse(cbor.decode(_inclusion())),), "192.0.2.7", "CH").encode()


TARGETS = [
    Target("cbor", lambda data: cbor.encode(cbor.decode(data)), made(_values)),
    Target("foreign cbor", _foreign, made(_values, lambda: BENCH().document())),
    Target("request", _request, made(lambda: frame.encode_request("tickets", {"count": 3, "more": b"more"}))),
    Target("answer", _answer, made(lambda: frame.encode_answer({"a": b"b"}), _refusal)),
    Target("rlp", lambda data: rlp.encode(rlp.decode(data)), made(_legacy, lambda: rlp.encode([[b"", [b"a" * 60]]]))),
    Target("evm transaction", _evm, made(lambda: _transfer().encode(), _legacy)),
    Target("call data", _call, cache(lambda: [payload for payload, _ in KNOWN])),
    Target("evm authorization", _authorization, made(lambda: Authorization(1, bytes(range(20)), 7).encode())),
    Target("evm address", _address, made(lambda: evm.checksum(bytes(range(20))).encode())),
    Target("segwit address", _segwit, made(lambda: bech32.encode("bc", 1, bytes(32)).encode())),
    Target("base58 address", _base58, made(lambda: base58.encode(bytes(range(32))).encode())),
    Target("evm typed data", _typed_data, made(lambda: json.dumps(MAIL).encode())),
    Target("evm text", _personal, made(lambda: b"Sign in as 0x00, nonce 5")),
    Target("psbt", _psbt, made(lambda: simple().payload(), lambda: simple(version=2).payload())),
    coded("bitcoin transaction", BitcoinTransaction, _unsigned, lambda: coin(ECDSA, 5, segwit=True).previous.encode()),
    Target("bitcoin message", _bitcoin_message, made(lambda: b"hello")),
    Target("solana message", _solana, made(lambda: solana.message(TRANSFER()), _solana_legacy)),
    Target("solana text", _offchain, made(lambda: b"hello")),
    Target("text", _text, made(lambda: b"hello")),
    Target("nitro evidence", _nitro, made(lambda: BENCH().document())),
    Target("pkcs11 evidence", _pkcs11, made(lambda: TOKEN().document())),
    Target("rebuild", _rebuild, made(lambda: rebuilds.sign(statement(), KEY))),
    Target("evidence file", _read, made(lambda: b"hEShATgioFkRVKlpbW9kdWxlX2lk")),
    coded("intent", Intent, _intent, lambda: _asked("evm-text", "evm:1", b"hello", (0, 5))),
    Target(
        "what an intent asks for",
        _judged,
        made(
            lambda: _asked("bitcoin-psbt", "bitcoin:regtest", simple().payload()),
            lambda: _asked("bitcoin-text", "bitcoin:regtest", b"hello", (0, 3)),
            lambda: _asked("evm-transaction", "evm:1", _transfer().encode(), (1, 2)),
            lambda: _asked("evm-typed-data", "evm:1", json.dumps(MAIL).encode()),
            lambda: _asked("evm-authorization", "evm:1", Authorization(1, bytes(range(20)), 7).encode()),
            lambda: _asked("solana-transaction", "solana:mainnet", solana.message(TRANSFER())),
        ),
    ),
    Target("bundle of signatures", _bundle, made(lambda: bundle.join([b"one", b"", b"three"]))),
    coded("order", Order, lambda: orders.order().encode()),
    coded("signed order", SignedOrder, lambda: orders.signed(orders.order()).encode()),
    coded("certificate's body", Body, lambda: honest().encode()),
    coded("certificate", Certificate, lambda: Certificate(honest().encode(), (("a", b"e"),)).encode()),
    coded("record", Record, _record),
    coded("configuration", Configuration, lambda: orders.configuration("a").encode()),
    coded("envelope", Envelope, _envelope),
    coded("approval", Approval, _approval, _assertion),
    Target("policy", _policy, made(_passkeys, lambda: cbor.encode(orders.POLICY.value()))),
    Target("proof", _proof, made(_inclusion)),
    coded("what is shown", Shown, _shown, lambda: NOTHING.encode()),
    *DIRECTIVES,
    *RELEASES,
    *JOURNAL,
    *HANDSHAKE,
]
