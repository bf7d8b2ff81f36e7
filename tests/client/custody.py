"""A wallet with its signers and its host, all in memory: true keys, true certificates, true evidence, and attacks.

The host is an httpx transport; `lies` maps a path's end to a function that changes the answer.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.evidence.statement import Mode
from strongroom.intent.intent import Intent
from strongroom.policy.document import Policy
from strongroom.schemes import keccak256
from strongroom.signer.configuration import Officers
from strongroom.wallet.certificate import (
    Body,
    Certificate,
    TestSignature,
    attested_user_data,
    certificate_hash,
    covering_sets,
    test_message,
    wallet_id,
)
from strongroom.wallet.order import Labels, Member, SignedOrder
from strongroom_client import keyfiles, officers, orders
from strongroom_client.api import Api
from strongroom_client.officers import Made
from strongroom_simulator import pki
from strongroom_simulator.document import Document
from tests.native import driver
from tests.policy.made import payments

RECIPIENT = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
CHAIN_ID = 31337
LIMIT = 10**18

Lie = Callable[[Any], Any]


def no_passphrase() -> bytes:
    raise AssertionError("the test's keys are not encrypted")


class FakeSigner:
    """An enclave with a chain of its own under the simulated root."""

    def __init__(self, number: int, root: pki.Identity) -> None:
        self.name = f"enclave-{number}"
        self._module = f"i-{number:017x}-enc{number:016x}"
        self._chain = pki.issue_chain(root, self._module, int(time.time()), 3 * 3600)
        self.registers = {index: bytes((index + 1, number)) * 24 for index in (0, 1, 2, 16)}
        labels = Labels("kms", "enclave", "nsm", f"operator-{number}", f"{number:012d}", "r", f"machine-{number}")
        measurements = {f"pcr{index}": value for index, value in self.registers.items()}
        self.member = Member(self.name, "nitro", root.fingerprint, measurements, labels).checked()

    def attest(self, nonce: bytes, user_data: bytes, *, registers: dict[int, bytes] | None = None) -> bytes:
        document = Document(
            self._module,
            int(time.time() * 1000),
            registers or self.registers,
            self._chain.leaf.der,
            self._chain.bundle,
            public_key=bytes(32),
            user_data=user_data,
            nonce=nonce,
        )
        return document.sign(self._chain.leaf.key)


class Custody:
    """2 of 3. folder: where the officers' keys are made. made_policy: of a requester's key; otherwise `policy`."""

    def __init__(
        self,
        folder: Path,
        scheme: str = "frost-ed25519",
        root: pki.Identity | None = None,
        made_policy: Callable[[bytes], Policy] | None = None,
    ) -> None:
        self.root = root or pki.root("simulated.nitro-enclaves")
        self.signers = [FakeSigner(number, self.root) for number in (1, 2, 3)]
        self.made = officers.create(folder, count=3, quorum=2, passphrase=None)
        self.requester = keyfiles.load(folder / officers.REQUESTER, no_passphrase)
        self.folder = folder
        self.shares = driver.run_dkg(scheme, 2, 3)
        agreed = (made_policy or policy)(self.made.requester)
        self.order = signed_order(self.made, folder, [signer.member for signer in self.signers], scheme, agreed)
        self.body = _body(self.order, self.shares)
        self.certificate = Certificate(self.body.encode(), ())
        self.nonces: list[bytes] = []
        self.lies: dict[str, Lie] = {}
        self.submitted: list[Intent] = []

    @property
    def officers(self) -> Officers:
        return self.made.officers

    @property
    def mode(self) -> Mode:
        return "simulated"

    @property
    def wallet(self) -> str:
        return self.body.wallet.hex()

    def api(self) -> Api:
        return Api("http://host.invalid", "key", httpx.MockTransport(self._answer))

    def attest(self, nonce: bytes, **changes: Any) -> list[dict[str, str]]:
        """Every signer's answer to a nonce, about this wallet."""
        user_data = attested_user_data(certificate_hash(self.certificate.body), self.body.epoch)
        return [
            {
                "signer": signer.name,
                "root": "nitro",
                "document": signer.attest(**{"nonce": nonce, "user_data": user_data, **changes}).hex(),
            }
            for signer in self.signers
        ]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        end = request.url.path.rpartition("/")[2]
        end = "wallet" if end == self.wallet else end
        body = json.loads(request.content) if request.content else {}
        value = getattr(self, f"_on_{end}")(body)
        return httpx.Response(200, json=self.lies.get(end, lambda honest: honest)(value))

    def _on_wallet(self, _: Any) -> Any:
        return {"wallet": self.wallet, "address": self.body.address, "public_key": self.body.wallet_key.hex()}

    def _on_wallets(self, body: Any) -> Any:
        return self._on_wallet(body)

    def _on_certificate(self, _: Any) -> Any:
        return {"certificate": self.certificate.encode().hex()}

    def _on_attestations(self, body: Any) -> Any:
        nonce = bytes.fromhex(body["nonce"])
        self.nonces.append(nonce)
        return {"attestations": self.attest(nonce)}

    def _on_directives(self, _: Any) -> Any:
        return {"directives": []}

    def _on_prepare(self, body: Any) -> Any:
        transaction = Transaction(
            CHAIN_ID,
            0,
            1,
            10**9,
            21_000 if not body.get("data") else 90_000,
            evm.parse_address(body["to"]),
            int(body["value"]),
            bytes.fromhex(body.get("data") or ""),
        )
        return {"payload": transaction.encode().hex()}

    def _on_requests(self, body: Any) -> Any:
        """Signs, without a look at the policy: the signers' own tests are elsewhere."""
        intent = Intent.decode(bytes.fromhex(body["intent"]))
        intent.verify(bytes.fromhex(body["signature"]))
        self.submitted.append(intent)
        answer: dict[str, Any] = {"request": intent.request.hex(), "state": "signed", "signers": ["enclave-1"]}
        if intent.kind == "evm-transaction":
            transaction = Transaction.decode(intent.payload)
            driver.run_pair(self.shares[0], self.shares[1])
            signature = driver.run_sign(self.shares[:2], transaction.digest())
            raw = transaction.signed(signature)
            answer |= {"signatures": [signature.hex()], "result": raw.hex()}
            answer["transaction"] = {"raw": raw.hex(), "hash": keccak256(raw).hex()}
        return answer


def policy(requester: bytes) -> Policy:
    recipients = (evm.parse_address(RECIPIENT),)
    return payments((requester,), (CHAIN_ID,), recipients, LIMIT, 10**16, issued=int(time.time()))


def signed_order(
    made: Made, folder: Path, roster: Sequence[Member], scheme: str, agreed: Policy | None = None
) -> SignedOrder:
    order = orders.build(
        tuple(roster),
        agreed or policy(made.requester),
        made.officers,
        mode="simulated",
        scheme=scheme,
        threshold=2,
        accept_unaudited=True,
        nonce=os.urandom(32),
    )
    return orders.sign(order, [keyfiles.load(path, no_passphrase) for path in officers.officer_files(folder)[:2]])


def _body(order: SignedOrder, shares: list[Any]) -> Body:
    key, transcript = shares[0].public_key, os.urandom(32)
    wallet = wallet_id(order.order_id, transcript, key)
    tests = []
    for names in covering_sets(order.order):
        chosen = [shares[order.order.index(name) - 1] for name in names]
        tests.append(TestSignature(names, driver.run_sign(chosen, test_message(wallet, names), None)))
    return Body(
        order,
        wallet,
        1,
        key,
        tuple(shares[0].verification_shares),
        shares[0].public_package(),
        shares[0].chain_code,
        transcript,
        tuple(tests),
    )
