"""A host that shows a client another wallet than the signers made. The client asks every signer itself, with its own
nonce, and shows no address that they did not all vouch for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strongroom.chains import evm
from strongroom.errors import Refusal
from strongroom.signer.configuration import Officers
from strongroom.wallet.certificate import Body, Certificate, TestSignature, wallet_id
from strongroom.wallet.order import SignedOrder, order_id, order_signing_bytes
from strongroom_client import keyfiles, wallets
from strongroom_client.api import Api
from strongroom_client.wallets import Verified
from strongroom_host.storage.wallets import Wallet
from tests.attacks.custody import ECDSA, Custody
from tests.attacks.hand import flipped

A, B, C = "enclave-1", "enclave-2", "hsm-1"
Lie = Callable[[Any], Any]


class Host:
    """Answers a client as the true host would, from the real signers, but for its lies. lies: by a path's last word."""

    def __init__(self, custody: Custody, wallet: Wallet) -> None:
        self.custody = custody
        self.known = wallet
        self.lies: dict[str, Lie] = {}
        self.nonces: list[bytes] = []

    def api(self) -> Api:
        return Api("http://host", "key", httpx.MockTransport(self._answer))

    def verify(self) -> Verified:
        with self.api() as api:
            officers = self.custody.officers
            return wallets.verify(api, self.known.body.wallet.hex(), officers=officers, mode="simulated")

    def attest(self, name: str, nonce: bytes, wallet: Wallet | None = None) -> bytes:
        asked = (wallet or self.known).body.wallet
        return self.custody.ask(name, "wallet.attest", {"wallet": asked, "nonce": nonce}).blob("document")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        word = request.url.path.rpartition("/")[2]
        body = json.loads(request.content) if request.content else {}
        value: Any
        if word == "certificate":
            value = {"certificate": (self.known.certificate or b"").hex()}
        elif word == "attestations":
            nonce = bytes.fromhex(body["nonce"])
            self.nonces.append(nonce)
            value = {
                "attestations": [{"signer": each, "document": self.attest(each, nonce).hex()} for each in (A, B, C)]
            }
        elif word == "directives":
            value = {"directives": []}
        else:
            word, shown = "wallet", self.known.body
            value = {"wallet": shown.wallet.hex(), "address": shown.address, "public_key": shown.public_key.hex()}
        return httpx.Response(200, json=self.lies.get(word, lambda honest: honest)(value))


@pytest.fixture
def host(custody: Custody, ecdsa: Wallet) -> Iterator[Host]:
    """Afterwards the same client, asking an honest host, accepts the same wallet."""
    host = Host(custody, ecdsa)
    yield host
    host.lies.clear()
    assert host.verify().address == ecdsa.body.address


@pytest.fixture(scope="module")
def other(custody: Custody) -> Body:
    """Another wallet of the same signers, lawfully made."""
    return custody.make(ECDSA).body


def refuses(host: Host, code: str, *culprits: str) -> None:
    with pytest.raises(Refusal) as caught:
        host.verify()
    assert (caught.value.code, caught.value.culprits) == (code, culprits), caught.value.reason


def certificate_with(body: Body) -> Lie:
    return lambda _: {"certificate": Certificate(body.encode(), ()).encode().hex()}


STRANGER = Ed25519PrivateKey.generate()


# --- What is shown ---


def test_the_address_swapped(host: Host) -> None:
    host.lies["wallet"] = lambda honest: honest | {"address": evm.checksum(bytes(19) + b"\x01")}
    refuses(host, "bad_certificate")


def test_one_letter_of_the_address(host: Host) -> None:
    """Not even another case: a checksum is part of an address."""
    host.lies["wallet"] = lambda honest: honest | {"address": honest["address"].swapcase()}
    refuses(host, "bad_certificate")


def test_the_public_key_swapped(host: Host, other: Body) -> None:
    host.lies["wallet"] = lambda honest: honest | {"public_key": other.public_key.hex()}
    refuses(host, "bad_certificate")


# --- The certificate ---


def test_the_certificate_of_another_wallet(host: Host, custody: Custody, ed25519: Wallet) -> None:
    host.lies["certificate"] = lambda _: {"certificate": (ed25519.certificate or b"").hex()}
    refuses(host, "bad_certificate")


def test_another_key_in_the_certificate(host: Host, other: Body) -> None:
    """With an id that follows from it, under the wallet's true name, and with test signatures of another wallet."""
    body = host.known.body
    renamed = wallet_id(body.order.order_id, body.transcript, other.public_key)
    for changed in (
        dataclasses.replace(body, public_key=other.public_key),
        dataclasses.replace(body, public_key=other.public_key, wallet=renamed),
        dataclasses.replace(other, wallet=body.wallet),
        dataclasses.replace(other, wallet=body.wallet, order=body.order),
    ):
        host.lies["certificate"] = certificate_with(changed)
        refuses(host, "bad_certificate")


def test_true_test_signatures_of_another_wallet(host: Host, other: Body) -> None:
    """Every signature in the certificate is right, for another order's wallet."""
    host.lies["certificate"] = certificate_with(dataclasses.replace(other, order=host.known.body.order))
    refuses(host, "bad_certificate")


def test_an_order_of_the_hosts_own_officers(host: Host) -> None:
    """Its officers, its policy; and its policy in the true officers' name."""
    body = host.known.body
    order = body.order.order
    usurped = dataclasses.replace(order, officers=Officers((keyfiles.public(STRANGER),), 1))
    widened = dataclasses.replace(order, policy=dataclasses.replace(order.policy, fees=()))
    signed = {keyfiles.public(STRANGER): STRANGER.sign(order_signing_bytes(order_id(usurped.encode())))}
    for changed in (
        SignedOrder.of(usurped, signed),
        SignedOrder(widened.encode(), widened, body.order.signatures),
        SignedOrder(order.encode(), order, body.order.signatures[:1]),
    ):
        host.lies["certificate"] = certificate_with(dataclasses.replace(body, order=changed))
        refuses(host, "order_not_signed")


def test_a_test_signature_left_out_or_forged(host: Host) -> None:
    body = host.known.body
    first, *others = body.tests
    forged = TestSignature(first.signers, flipped(first.signature, 0))
    for tests in ((), (first,), (forged, *others), (first, first)):
        host.lies["certificate"] = certificate_with(dataclasses.replace(body, tests=tests))
        refuses(host, "bad_certificate")


@pytest.mark.parametrize("field", ["verification_shares", "package", "chain_code", "epoch"])
def test_a_certificate_that_no_signer_attested(host: Host, custody: Custody, field: str) -> None:
    """What only signers can know is covered by the hash that they attest."""
    body = host.known.body
    changes: dict[str, Any] = {
        "verification_shares": body.verification_shares[::-1],
        "package": flipped(body.package, -1),
        "chain_code": bytes(32),
        "epoch": 2,
    }
    host.lies["certificate"] = certificate_with(dataclasses.replace(body, **{field: changes[field]}))
    refuses(host, "evidence_binding", A)


# --- The answers ---


def answers(*documents: tuple[str, bytes]) -> Lie:
    return lambda _: {"attestations": [{"signer": name, "document": raw.hex()} for name, raw in documents]}


def test_an_answer_left_out_twice_given_or_added(host: Host) -> None:
    """All of the roster, nobody else, each once."""
    changes: list[Lie] = [
        lambda each: {"attestations": each["attestations"][1:]},
        lambda each: {"attestations": []},
        lambda each: {"attestations": each["attestations"] + each["attestations"][:1]},
        lambda each: {"attestations": [*each["attestations"], {"signer": "enclave-9", "document": ""}]},
        lambda each: {"attestations": [*each["attestations"][1:], {"signer": "enclave-9", "document": ""}]},
    ]
    for change in changes:
        host.lies["attestations"] = change
        refuses(host, "bad_certificate")


def test_answers_under_each_others_names(host: Host) -> None:
    """Two enclaves, then an enclave and the HSM signer."""

    def renamed(names: tuple[str, str, str]) -> Lie:
        return lambda each: {
            "attestations": [
                {"signer": name, "document": one["document"]}
                for name, one in zip(names, each["attestations"], strict=True)
            ]
        }

    host.lies["attestations"] = renamed((B, A, C))
    refuses(host, "evidence_measurement", A)
    host.lies["attestations"] = renamed((A, C, B))
    refuses(host, "evidence_malformed", B)


def test_answers_to_an_earlier_question(host: Host) -> None:
    """All genuine, all of this wallet: an earlier client's."""
    old = answers(*((name, host.attest(name, bytes(32))) for name in (A, B, C)))
    host.lies["attestations"] = old
    refuses(host, "evidence_nonce", A)


def test_answers_from_the_certificate(host: Host) -> None:
    """Those of the day when the wallet was made."""
    certificate = Certificate.decode(host.known.certificate or b"")
    host.lies["attestations"] = answers(*certificate.attestations)
    refuses(host, "evidence_nonce", A)


def test_answers_about_another_wallet(host: Host, ed25519: Wallet) -> None:
    """The right signers, the client's own nonce: they vouch for something else."""

    def other(_: Any) -> Any:
        nonce = host.nonces[-1]
        documents = [(name, host.attest(name, nonce, ed25519)) for name in (A, B, C)]
        return answers(*documents)(None)

    host.lies["attestations"] = other
    refuses(host, "evidence_binding", A)


def test_plain_evidence_in_the_place_of_an_answer(host: Host, custody: Custody) -> None:
    """The host may have any signer attest any nonce, but not about a wallet."""

    def plain(honest: Any) -> Any:
        document = custody.ask(B, "evidence", {"nonce": host.nonces[-1]}).blob("document")
        changed = [
            each | {"document": document.hex()} if each["signer"] == B else each for each in honest["attestations"]
        ]
        return {"attestations": changed}

    host.lies["attestations"] = plain
    refuses(host, "evidence_binding", B)


def test_one_bit_of_an_answer(host: Host) -> None:
    def bent(honest: Any) -> Any:
        changed = [dict(each) for each in honest["attestations"]]
        changed[2]["document"] = flipped(bytes.fromhex(changed[2]["document"]), -1).hex()
        return {"attestations": changed}

    host.lies["attestations"] = bent
    refuses(host, "evidence_signature", C)


def test_a_client_of_another_mode_or_root(host: Host, custody: Custody) -> None:
    """A production client accepts nothing simulated; one with other officers' pins, nothing of these."""
    wallet = host.known.body.wallet.hex()
    with host.api() as api:
        with pytest.raises(Refusal) as caught:
            wallets.verify(api, wallet, officers=custody.officers, mode="production")
        assert caught.value.code == "mode_mismatch"
        with pytest.raises(Refusal) as caught:
            pins = Officers((keyfiles.public(STRANGER),), 1)
            wallets.verify(api, wallet, officers=pins, mode="simulated")
        assert caught.value.code == "order_not_signed"
