"""Officers, members, policies and orders: honest ones, of which a test changes one thing."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.evidence.statement import Root
from strongroom.signer.configuration import Configuration, Officers, Sealing
from strongroom.wallet.order import Labels, Member, Order, SignedOrder, order_signing_bytes
from tests.policy.made import payments

ECDSA, ED25519 = "dkls23-secp256k1", "frost-ed25519"
TAPROOT, MUSIG2 = "frost-secp256k1-tr", "musig2-secp256k1"
SCHEMES: Final = (ECDSA, ED25519, TAPROOT, MUSIG2)
NAMES: Final = tuple("abcdefghi")

NITRO_ROOT: Final = hashlib.sha256(b"a simulated Nitro root").digest()
OPERATOR_ROOT: Final = hashlib.sha256(b"an operator's root").digest()
RECIPIENT: Final = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
CONTRACT: Final = bytes.fromhex("fb6916095ca1df60bb79ce92ce3ea74c37c5d359")
SELECTOR: Final = bytes.fromhex("d0e30db0")
ISSUED: Final = 1_790_000_000
ETHER: Final = 10**18


def keys(purpose: str, count: int) -> dict[bytes, Ed25519PrivateKey]:
    """By public key, sorted; the same at every call."""
    made = [
        Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{purpose}{n}".encode()).digest()) for n in range(count)
    ]
    return dict(sorted((key.public_key().public_bytes_raw(), key) for key in made))


OFFICER_KEYS: Final = keys("officer", 3)
REQUESTER_KEYS: Final = keys("requester", 2)
OFFICERS: Final = Officers(tuple(OFFICER_KEYS), 2)
REQUESTER: Final = next(iter(REQUESTER_KEYS))


def configuration(name: str, root: Root = "nitro", release: int = 1, **changes: Any) -> Configuration:
    """Each release of an enclave has a KMS key of its own."""
    sealing = (
        Sealing("kms", f"arn:aws:kms:key/{name}{'' if release == 1 else release}")
        if root == "nitro"
        else Sealing("pkcs11", "strongroom-kek")
    )
    return dataclasses.replace(Configuration("simulated", name, OFFICERS, sealing), **changes)


def labels(name: str, root: Root = "nitro", **changes: str) -> Labels:
    fixed = ("kms", "enclave", "nsm") if root == "nitro" else ("pkcs11", "process", "nobody")
    honest = Labels(*fixed, f"operator-{name}", f"account-{name}", "eu-central-1", f"machine-{name}")
    return dataclasses.replace(honest, **changes)


def boot_registers(name: str, release: int = 1) -> dict[int, bytes]:
    """PCR0 to 4 and 8 of the enclave of this name: one image in each release, another instance each."""
    image = "" if release == 1 else f" of release {release}"
    registers = {index: hashlib.sha384(f"pcr{index}{image}".encode()).digest() for index in (0, 1, 2, 3, 8)}
    return {**registers, 4: hashlib.sha384(name.encode()).digest()}


def member(name: str, root: Root = "nitro", **changes: Any) -> Member:
    """With the reference values that this module's signers have."""
    own = configuration(name, root)
    if root == "nitro":
        registers = boot_registers(name)
        measurements = {f"pcr{index}": registers[index] for index in (0, 1, 2, 4)} | {"pcr16": own.pcr16()}
    else:
        measurements = {"configuration": own.digest()}
    trust = NITRO_ROOT if root == "nitro" else OPERATOR_ROOT
    return dataclasses.replace(Member(name, root, trust, measurements, labels(name, root)), **changes)


POLICY: Final = payments(
    REQUESTER_KEYS, (1, 31337), (RECIPIENT, bytes(20)), ETHER, ETHER // 100, ((CONTRACT, SELECTOR),), issued=ISSUED
)


def order(parties: int = 3, scheme: str = ED25519, **changes: Any) -> Order:
    """t = 2, or n for a scheme that wants all; the last member is beside an HSM."""
    names = NAMES[:parties]
    fields: dict[str, Any] = {
        "mode": "simulated",
        "scheme": scheme,
        "threshold": parties if scheme == MUSIG2 else 2,
        "roster": tuple(member(name, "pkcs11" if name == names[-1] else "nitro") for name in names),
        "officers": OFFICERS,
        "policy": POLICY,
        "unaudited": (ECDSA, ED25519, TAPROOT, MUSIG2),
        "nonce": bytes(32),
    }
    return Order(**{**fields, **changes})


def sign(raw: bytes, signers: Sequence[bytes]) -> dict[bytes, bytes]:
    """Officers' signatures over an order's bytes, by public key."""
    identifier = hashlib.sha256(b"strongroom/order/v1" + raw).digest()
    return {key: OFFICER_KEYS[key].sign(order_signing_bytes(identifier)) for key in signers}


def signed(unsigned: Order, signers: Sequence[bytes] = tuple(OFFICER_KEYS)[:2]) -> SignedOrder:
    return SignedOrder.of(unsigned, sign(unsigned.encode(), signers))
