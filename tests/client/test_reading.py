"""What an approver reads of each kind of request: from the bytes, with the policy's labels, and what to stop at."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from strongroom.approval import Demand
from strongroom.chains import evm
from strongroom.chains.evm import Transaction
from strongroom.intent.intent import Kind
from strongroom.policy.lists import Entry, Prover, Recipients
from strongroom_client.approving import book, page, reading
from strongroom_client.approving.reading import Line, Reading
from strongroom_client.transactions import sign_intent
from tests.approval.keys import held
from tests.client.approving import ACME, ETHER, STRANGER, Approving
from tests.client.custody import CHAIN_ID
from tests.wire.refused import refused

ALICE = held("alice")
TOKEN = b"\x70" * 20
DEMAND = Demand((("treasury", 1),))


@pytest.fixture(scope="module")
def custody(tmp_path_factory: pytest.TempPathFactory) -> Approving:
    return Approving(tmp_path_factory.mktemp("o") / "keys", [ALICE.approver], DEMAND, "dkls23-secp256k1")


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Approving:
    return Approving(tmp_path_factory.mktemp("o") / "keys", [ALICE.approver], DEMAND, "frost-ed25519")


def read(custody: Approving, kind: Kind, payload: bytes, **changed: Any) -> Reading:
    chain = "" if kind == "message" else f"evm:{CHAIN_ID}"
    signed = sign_intent(custody.body, kind, payload, custody.requester, chain=chain, **changed)
    intent, policy = signed.intent, custody.order.order.policy
    return reading.read(intent.request, intent.encode(), signed.signature, custody.body, [policy], (), int(time.time()))


def only(found: Reading) -> Line:
    (line,) = found.lines
    assert page.approval(found, ALICE.approver).count("<main") == 1
    return line


def call(data: bytes, to: bytes = TOKEN, value: int = 0) -> bytes:
    return Transaction(CHAIN_ID, 0, 1, 10**9, 90_000, to, value, data).encode()


def method(selector: str, *words: bytes | int) -> bytes:
    padded = [word.to_bytes(32, "big") if isinstance(word, int) else word.rjust(32, b"\0") for word in words]
    return bytes.fromhex(selector) + b"".join(padded)


def test_a_transfer_of_coins(custody: Approving) -> None:
    found = read(custody, "evm-transaction", call(b"", ACME, ETHER))
    line = only(found)
    assert (line.verb, line.amount, line.exact) == ("Send", "1 coins", f"{ETHER} wei")
    assert line.known is not None and (line.known.label, line.known.list) == ("Acme Industries", "partners")
    assert line.warnings == () and found.demands == (DEMAND,) and found.refused is None


def test_a_transfer_of_tokens_to_somebody_unlisted(custody: Approving) -> None:
    line = only(read(custody, "evm-transaction", call(method("a9059cbb", STRANGER, 5_000_000))))
    assert (line.verb, line.amount) == ("Send", "5000000 units") and TOKEN.hex() in line.exact
    assert line.known is None and line.warnings == (book.UNLISTED,)


def test_a_long_list_labels_what_a_proof_shows(custody: Approving) -> None:
    """The policy has the list's root alone; a proof of another label, or for another list, shows nothing."""
    entries = [Entry(evm.text(bytes((number,)) * 20), f"Client {number}") for number in range(1, 9)]
    plain = custody.order.order.policy
    rooted = replace(plain, lists=(*plain.lists, Recipients.rooted("zz-clients", entries)))
    proof = Prover("zz-clients", entries).prove(entries[2].address)
    assert proof is not None
    assert book.Book(rooted, [proof]).known(entries[2].address) == book.Known("zz-clients", "Client 3")
    assert book.Book(rooted).known(entries[2].address) is None
    for wrong in (replace(proof, list="partners"), replace(proof, entry=replace(proof.entry, label="Acme"))):
        assert book.Book(rooted, [wrong]).unlisted(entries[2].address) == [book.UNLISTED]


def test_an_address_made_to_be_mistaken_for_a_listed_one(custody: Approving) -> None:
    poison = ACME[:2] + b"\x11" * 16 + ACME[-2:]
    warnings = only(read(custody, "evm-transaction", call(b"", poison, ETHER))).warnings
    assert warnings[0] == book.UNLISTED and "like Acme Industries of list partners" in warnings[1]


@pytest.mark.parametrize(
    ("data", "verb", "amount", "warned"),
    [
        (method("095ea7b3", STRANGER, 7), "Let somebody take", "7 units", "moves nothing now"),
        (method("095ea7b3", STRANGER, (1 << 256) - 1), "Let somebody take", "all of", "moves nothing now"),
        (method("39509351", STRANGER, 7), "Let somebody take", "7 units", "on top of"),
    ],
)
def test_an_allowance(custody: Approving, data: bytes, verb: str, amount: str, warned: str) -> None:
    line = only(read(custody, "evm-transaction", call(data)))
    assert line.verb == verb and line.amount.startswith(amount)
    assert any(warned in warning for warning in line.warnings) and book.UNLISTED in line.warnings


def test_an_allowance_taken_back(custody: Approving) -> None:
    line = only(read(custody, "evm-transaction", call(method("095ea7b3", STRANGER, 0))))
    assert line.verb.startswith("Take back") and line.warnings == ()


def test_a_call_that_nobody_here_understands(custody: Approving) -> None:
    line = only(read(custody, "evm-transaction", call(method("deadbeef", 1), value=ETHER)))
    assert line.verb == "Call method 0xdeadbeef of a contract, and pay it" and line.amount == "1 coins"
    assert "not understood" in line.warnings[0] and line.text == f"{1:064x}"


def test_a_text_is_shown_whole(custody: Approving) -> None:
    text = "I agree.\n" + "x" * 500
    line = only(read(custody, "evm-text", text.encode()))
    assert line.text == text and line.verb == "Sign this text" and line.warnings == ()


def test_a_message_of_the_wallets_own_form(messages: Approving) -> None:
    found = read(messages, "message", "pаy bob".encode())  # a Cyrillic a
    assert "not ASCII" in only(found).warnings[0] and found.effects.chain == ""
    assert "bound to this wallet" in page.approval(found, ALICE.approver)


def test_typed_data_are_shown_whole(custody: Approving) -> None:
    data = {
        "types": {
            "EIP712Domain": [{"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"}],
            "Vote": [{"name": "proposal", "type": "uint256"}],
        },
        "primaryType": "Vote",
        "domain": {"chainId": CHAIN_ID, "verifyingContract": "0x" + TOKEN.hex()},
        "message": {"proposal": 7},
    }
    line = only(read(custody, "evm-typed-data", json.dumps(data).encode()))
    assert line.verb == "Sign typed data Vote for" and '"proposal": 7' in line.text
    assert line.to.lower() == "0x" + TOKEN.hex() and book.UNLISTED in line.warnings


def test_a_derived_key_is_said_to_be_one(custody: Approving) -> None:
    found = read(custody, "evm-transaction", call(b"", ACME, ETHER), path=(0, 5))
    derived = evm.checksum(evm.address(custody.body.keys.key((0, 5))))
    assert found.accounts == (f"{derived} (m/0/5)",) and derived != custody.body.address
    assert f"{derived} (m/0/5)" in page.approval(found, ALICE.approver)


def test_what_is_not_decoded_in_full_is_not_shown(custody: Approving) -> None:
    refused("malformed_transaction", read, custody, "evm-transaction", call(b"") + b"\0")
    refused("unsupported_transaction", read, custody, "evm-transaction", b"\x04" + call(b"")[1:])


def test_html_of_others_is_text_on_the_page(messages: Approving) -> None:
    found = read(messages, "message", b'</pre><script src="//evil.example"></script>"')
    html = page.approval(found, ALICE.approver)
    assert '<script src="//evil' not in html and "&lt;script" in html
    approver = replace(ALICE.approver, name="alice")
    assert html == page.approval(found, approver)


def test_the_code_to_compare_is_of_everything_that_is_signed(custody: Approving) -> None:
    one = read(custody, "evm-transaction", call(b"", ACME, ETHER))
    other = read(custody, "evm-transaction", call(b"", ACME, ETHER))
    assert one.code != other.code and one.code.replace(" ", "") == one.intent.intent_id.hex()[:16]
