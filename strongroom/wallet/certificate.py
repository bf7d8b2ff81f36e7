"""The wallet certificate: what all signers agree a wallet is (docs/specification.md section 10)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from strongroom import schemes
from strongroom.chains import evm
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.errors import Refusal
from strongroom.signer.configuration import Officers
from strongroom.wallet.order import Order, SignedOrder
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item, pair_item, text_item

MAX_EVIDENCE = 1 << 15


@dataclass(frozen=True)
class TestSignature:
    """A signature of the domain-separated test message by one set of signers."""

    __test__ = False  # not a test case of pytest's

    signers: tuple[str, ...]
    signature: bytes

    @classmethod
    def parse(cls, value: cbor.Value) -> TestSignature:
        fields = Fields(value, "test")
        test = cls(fields.items("set", text_item), fields.blob("signature", most=128))
        fields.end()
        return test


@dataclass(frozen=True)
class Body:
    """public_key: as the native module gives it; `wallet_key` is the one that addresses and signatures use."""

    order: SignedOrder
    wallet: bytes
    epoch: int
    public_key: bytes
    verification_shares: tuple[bytes, ...]
    package: bytes
    chain_code: bytes | None
    transcript: bytes
    tests: tuple[TestSignature, ...]

    def encode(self) -> bytes:
        return cbor.encode(
            {
                "v": 1,
                "order": self.order.encode(),
                "wallet": self.wallet,
                "epoch": self.epoch,
                "public_key": self.public_key,
                "verification_shares": list(self.verification_shares),
                "package": self.package,
                "chain_code": self.chain_code,
                "transcript": self.transcript,
                "tests": [{"set": list(test.signers), "signature": test.signature} for test in self.tests],
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Body:
        fields = Fields.decode(data, "certificate")
        fields.version()
        body = cls(
            SignedOrder.decode(fields.blob("order", most=1 << 18)),
            fields.blob("wallet", size=32),
            fields.integer("epoch", least=1),
            fields.blob("public_key", most=33),
            fields.items("verification_shares", bytes_item, most=9),
            fields.blob("package", most=1 << 16),
            fields.optional_blob("chain_code", size=32),
            fields.blob("transcript", size=32),
            fields.items("tests", TestSignature.parse, most=9),
        )
        fields.end()
        return body

    @cached_property
    def keys(self) -> WalletKeys:
        """What its addresses and derived keys follow from."""
        return WalletKeys(self.order.order.scheme, self.public_key, self.chain_code)

    @cached_property
    def wallet_key(self) -> bytes:
        return schemes.wallet_key(self.order.order.scheme, self.public_key)

    @property
    def address(self) -> str:
        """EVM: EIP-55. BIP-340: the x-only output key, in hex; Ed25519: the key, in hex."""
        if schemes.suite(self.order.order.scheme).digest:
            return evm.checksum(evm.address(self.public_key))
        return self.wallet_key.hex()


def certificate_hash(body: bytes) -> bytes:
    return hashlib.sha256(b"strongroom/certificate/v1" + body).digest()


def wallet_id(order: bytes, transcript: bytes, public_key: bytes) -> bytes:
    """order: the order's id."""
    return hashlib.sha256(b"strongroom/wallet/v1" + order + transcript + public_key).digest()


def attested_user_data(digest: bytes, epoch: int) -> bytes:
    """What a member's evidence is bound to; digest: the certificate hash."""
    return hashlib.sha256(b"strongroom/certified/v1" + digest + epoch.to_bytes(8, "big")).digest()


def test_message(wallet: bytes, signers: tuple[str, ...]) -> bytes:
    """32 bytes that no chain and no intent can ask for: a digest over our own tag."""
    names = b"".join(bytes((len(name),)) + name.encode() for name in signers)
    return hashlib.sha256(b"strongroom/test/v1" + wallet + names).digest()


test_message.__test__ = False  # type: ignore[attr-defined]  # not a test case of pytest's


def covering_sets(order: Order) -> tuple[tuple[str, ...], ...]:
    """Sets of `threshold` names that together name everyone: consecutive ones, the last moved back to fit."""
    names, t = order.names, order.threshold
    starts = [*range(0, len(names) - t, t), len(names) - t]
    return tuple(names[start : start + t] for start in starts)


def verify_body(body: Body, officers: Officers) -> Body:
    """All that can be checked without evidence: order, wallet id, sizes, and that test signatures cover every signer.

    Raises Refusal `bad_certificate` or `order_not_signed`.
    """
    order = body.order.verify(officers).order
    if body.wallet != wallet_id(body.order.order_id, body.transcript, body.public_key):
        raise Refusal("bad_certificate", "the wallet id does not follow from order, transcript and public key")
    if len(body.verification_shares) != len(order.roster):
        raise Refusal("bad_certificate", "there is not one verification share for each signer")
    covered: set[str] = set()
    for test in body.tests:
        if _sorted_set(order, test.signers) != test.signers:
            raise Refusal("bad_certificate", "a test's set is not in roster order")
        message = test_message(body.wallet, test.signers)
        if not schemes.verify(order.scheme, body.public_key, message, test.signature):
            raise Refusal("bad_certificate", f"the test signature of {', '.join(test.signers)} does not verify")
        covered.update(test.signers)
    if covered != set(order.names):
        missing = ", ".join(sorted(set(order.names) - covered))
        raise Refusal("bad_certificate", f"no test signature covers {missing}")
    return body


def _sorted_set(order: Order, signers: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return order.sorted_set(signers)
    except Refusal as refusal:
        raise Refusal("bad_certificate", f"a test's set: {refusal.reason}") from None


@dataclass(frozen=True)
class Certificate:
    """body: the very bytes that were attested; attestations: (name, evidence) in roster order."""

    body: bytes
    attestations: tuple[tuple[str, bytes], ...]

    def encode(self) -> bytes:
        return cbor.encode({"body": self.body, "attestations": [list(pair) for pair in self.attestations]})

    @classmethod
    def decode(cls, data: bytes) -> Certificate:
        fields = Fields.decode(data, "certificate")
        certificate = cls(fields.blob("body", most=1 << 19), fields.items("attestations", pair_item, most=9))
        fields.end()
        return certificate
