"""Each kind of request through real signers, and what comes out taken by a real implementation of its chain."""

from __future__ import annotations

import base64
import dataclasses
import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import coincurve
import pytest
import strongroom_native as native
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from solders.keypair import Keypair
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from strongroom.chains import evm, rlp
from strongroom.chains.bitcoin import message as bip322
from strongroom.chains.bitcoin.encoding import Reader
from strongroom.chains.bitcoin.transaction import Output, Transaction, stack
from strongroom.chains.solana import base58
from strongroom.errors import Refusal
from strongroom.intent.intent import Kind
from strongroom.policy.terms import Domain
from strongroom.schemes import keccak256
from strongroom_client.cluster import chain
from strongroom_client.cluster.chain import ACCOUNTS, CHAIN_ID
from tests.chains.bitcoin_cases import PAID, draft
from tests.chains.bitcoin_chain import MATURITY, SUBSIDY, Regtest, interpreter_takes
from tests.chains.solana_cases import message
from tests.chains.test_evm_calls import data
from tests.chains.test_evm_typed_data import MAIL
from tests.chains.test_solana_execution import SOL, TO, Chain
from tests.signer.cluster import Cluster, Plan
from tests.signer.wide import BITCOIN, EVM, SOLANA, asked, finished, made, policy, wide
from tests.wallet.orders import ECDSA, ED25519, ETHER, MUSIG2, TAPROOT
from tests.wire.refused import refused

# --- Bitcoin ---


@pytest.fixture(scope="module")
def regtest(tmp_path_factory: pytest.TempPathFactory) -> Regtest:
    return Regtest(tmp_path_factory.mktemp("regtest"))


def test_bitcoin_core_mines_what_signers_signed(regtest: Regtest) -> None:
    """Two inputs of two derived keys of an ECDSA wallet, and one each of the Taproot wallets, in real blocks."""
    spendings = []
    for scheme, paths in ((ECDSA, [(0, 1), (1, 7)]), (TAPROOT, [()]), (MUSIG2, [()])):
        cluster = wide(scheme)
        coins = []
        for path in paths:
            mined = regtest.mine(cluster.keys.script(path))
            assert mined is not None
            coins.append(dataclasses.replace(mined, path=path))
        spendings.append((cluster, coins))
    for _ in range(MATURITY):
        assert regtest.mine()
    for cluster, coins in spendings:
        change = (1, 8) if cluster.keys.derives else ()
        paid = draft(cluster.keys, coins, [(SUBSIDY // 2, PAID), (SUBSIDY // 4, change)])
        done, _ = finished(cluster, asked(cluster, "bitcoin-psbt", paid.payload(), BITCOIN))
        transaction = Transaction.decode(done.raw)
        assert interpreter_takes(transaction, [each.output for each in coins])
        assert regtest.mine(transactions=(transaction,))


@pytest.mark.parametrize(("scheme", "path"), [(ECDSA, ()), (ECDSA, (0, 3)), (TAPROOT, ()), (MUSIG2, ())])
def test_a_bip322_text(scheme: str, path: tuple[int, ...]) -> None:
    cluster = wide(scheme)
    done, _ = finished(cluster, asked(cluster, "bitcoin-text", b"I am here", BITCOIN, path=path))
    challenge = cluster.keys.script(path)
    witness = stack(Reader(base64.b64decode(done.raw.removeprefix(b"smp")), "the witness"))
    for text, good in ((b"I am here", True), (b"I am there", False)):
        unsigned = bip322.to_sign(challenge, text)
        whole = dataclasses.replace(unsigned, inputs=(dataclasses.replace(unsigned.inputs[0], witness=witness),))
        assert interpreter_takes(whole, [Output(0, challenge)]) is good


# --- Solana ---

MINT = bytes(Keypair.from_seed(b"\x08" * 32).pubkey())


@dataclass(frozen=True)
class Key:
    public_key: bytes


@pytest.fixture(scope="module")
def solana() -> Cluster:
    token = f"{SOLANA}/token:{base58.encode(MINT)}"
    return made(Plan(ED25519, policy=policy(token)))


@pytest.mark.parametrize("version", [None, 0])
def test_litesvm_executes_what_signers_signed(solana: Cluster, version: int | None) -> None:
    """A transfer of SOL and one of a token, in one transaction."""
    ledger = Chain([cast(native.KeyShare, Key(solana.public_key))])
    raw = message(
        ledger.transfer(SOL),
        ledger.creation(TO),
        ledger.checked(12, 7, ledger.account(TO)),
        payer=solana.public_key,
        blockhash=bytes(ledger.svm.latest_blockhash()),
        version=version,
    )
    done, _ = finished(solana, asked(solana, "solana-transaction", raw, SOLANA))
    sent = ledger.svm.send_transaction(VersionedTransaction.from_bytes(done.raw))
    assert not isinstance(sent, FailedTransactionMetadata), sent
    assert str(sent.signature()) == done.name
    assert (ledger.sol(TO), ledger.tokens(ledger.account(TO))) == (SOL, 7)


def test_a_text_as_solana_wallets_sign_it(solana: Cluster) -> None:
    text = "Grüße"
    done, _ = finished(solana, asked(solana, "solana-text", text.encode(), SOLANA))
    signed = b"\xffsolana offchain\0\1" + len(text.encode()).to_bytes(2, "little") + text.encode()
    Ed25519PublicKey.from_public_bytes(solana.public_key).verify(done.raw, signed)


def test_a_message_of_our_own(solana: Cluster) -> None:
    done, _ = finished(solana, asked(solana, "message", b"hello"))
    signed = b"Strongroom signed message\n" + solana.wallet.hex().encode() + b"\nhello"
    Ed25519PublicKey.from_public_bytes(solana.public_key).verify(done.raw, signed)


# --- EVM ---

CREATION = bytes.fromhex((Path(__file__).parents[1] / "chains/erc20/Token.hex").read_text())
SUPPLY = 10**9


class Ethereum:
    """anvil, a wallet with ether in two of its accounts, and a token of which the wallet holds everything."""

    def __init__(self, node: chain.Chain) -> None:
        self.node = node
        deployer = str(node.call("eth_accounts")[0])
        # A contract's address follows from who creates it and its nonce.
        self.token = "0x" + _created(bytes.fromhex(deployer[2:]), 0).hex()
        domains = (Domain(None, "Mail"), Domain(MAIL["domain"]["verifyingContract"].lower(), "Mail"))
        self.cluster = made(Plan(ECDSA, policy=policy(f"{EVM}/token:{self.token}", domains=domains)))
        holder = self.address()
        create = CREATION + bytes(12) + bytes.fromhex(holder[2:]) + SUPPLY.to_bytes(32, "big")
        self.sent(
            node.call("eth_sendTransaction", {"from": deployer, "data": "0x" + create.hex(), "gas": hex(3 * 10**6)})
        )
        for path in ((), (0, 5)):
            node.fund(self.address(path), ETHER)

    def address(self, path: tuple[int, ...] = ()) -> str:
        return evm.checksum(evm.address(self.cluster.keys.key(path)))

    def sent(self, name: str) -> None:
        assert self.node.call("eth_getTransactionReceipt", name)["status"] == "0x1"

    def read(self, method: str, *arguments: Any) -> int:
        call = {"to": self.token, "data": "0x" + data(method, *arguments).hex()}
        return int(self.node.call("eth_call", call, "latest"), 16)

    def pay(self, to: str, value: int = 0, payload: bytes = b"", path: tuple[int, ...] = (), kind: int = 2) -> None:
        """Signed by two of three, and mined."""
        nonce = int(self.node.call("eth_getTransactionCount", self.address(path), "latest"), 16)
        priority = 10**9 if kind == 2 else 5 * 10**9
        made = evm.Transaction(
            CHAIN_ID, nonce, priority, 5 * 10**9, 100_000, bytes.fromhex(to[2:]), value, payload, kind=kind
        )
        done, _ = finished(self.cluster, asked(self.cluster, "evm-transaction", made.encode(), EVM, path=path))
        name = self.node.call("eth_sendRawTransaction", "0x" + done.raw.hex())
        assert name == f"0x{done.name}"
        self.sent(name)


def _created(creator: bytes, nonce: int) -> bytes:
    return keccak256(rlp.encode([creator, rlp.encode_integer(nonce)]))[12:]


@pytest.fixture(scope="module")
def ethereum() -> Iterator[Ethereum]:
    try:
        binary = chain.binary()
    except Refusal as refusal:
        pytest.skip(refusal.reason)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(binary), "--port", str(port), "--chain-id", str(CHAIN_ID), "--silent"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        node = chain.Chain(f"http://127.0.0.1:{port}")
        node.wait_ready()
        yield Ethereum(node)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("path", [(), (0, 5)])
def test_ether_leaves_each_of_the_wallets_accounts(ethereum: Ethereum, path: tuple[int, ...], kind: int) -> None:
    stranger = "0x" + "77" * 20
    before = ethereum.node.balance(stranger)
    ethereum.pay(stranger, 5 + kind, path=path, kind=kind)
    assert ethereum.node.balance(stranger) - before == 5 + kind


def test_tokens_are_moved_and_allowed(ethereum: Ethereum) -> None:
    stranger, me = "0x" + "78" * 20, ethereum.address()
    before = ethereum.read("balanceOf(address)", me)
    ethereum.pay(ethereum.token, payload=data("transfer(address,uint256)", stranger, 1234))
    assert ethereum.read("balanceOf(address)", stranger) == 1234
    assert ethereum.read("balanceOf(address)", me) == before - 1234
    ethereum.pay(ethereum.token, payload=data("approve(address,uint256)", stranger, 77))
    assert ethereum.read("allowance(address,address)", me, stranger) == 77


def test_a_permit_is_taken_by_the_token(ethereum: Ethereum) -> None:
    """Typed data, signed by the wallet and handed in by somebody else."""
    me, spender, deadline = ethereum.address(), ACCOUNTS[1], 2**40
    document = {
        "types": {
            "EIP712Domain": MAIL["types"]["EIP712Domain"],
            "Permit": [
                {"name": "owner", "type": "address"},
                {"name": "spender", "type": "address"},
                {"name": "value", "type": "uint256"},
                {"name": "nonce", "type": "uint256"},
                {"name": "deadline", "type": "uint256"},
            ],
        },
        "primaryType": "Permit",
        "domain": {"name": "Token", "version": "1", "chainId": CHAIN_ID, "verifyingContract": ethereum.token},
        "message": {
            "owner": me,
            "spender": evm.checksum(bytes.fromhex(spender[2:])),
            "value": 55,
            "nonce": 0,
            "deadline": deadline,
        },
    }
    done, _ = finished(ethereum.cluster, asked(ethereum.cluster, "evm-typed-data", json.dumps(document).encode(), EVM))
    r, s, v = done.raw[:32], done.raw[32:64], done.raw[64]
    method = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
    handed = data(method, me, spender, 55, deadline, v, r, s)
    relayer = str(ethereum.node.call("eth_accounts")[2])
    ethereum.sent(
        ethereum.node.call("eth_sendTransaction", {"from": relayer, "to": ethereum.token, "data": "0x" + handed.hex()})
    )
    assert ethereum.read("allowance(address,address)", me, spender) == 55


@pytest.mark.parametrize("path", [(), (0, 5)])
def test_other_wallets_recover_who_signed_a_text(ethereum: Ethereum, path: tuple[int, ...]) -> None:
    done, _ = finished(ethereum.cluster, asked(ethereum.cluster, "evm-text", b"I am here", EVM, path=path))
    assert Account.recover_message(encode_defunct(b"I am here"), signature=done.raw) == ethereum.address(path)


def test_other_wallets_recover_who_signed_typed_data(ethereum: Ethereum) -> None:
    mail = json.loads(json.dumps(MAIL))
    mail["domain"]["chainId"] = CHAIN_ID
    done, _ = finished(ethereum.cluster, asked(ethereum.cluster, "evm-typed-data", json.dumps(mail).encode(), EVM))
    assert Account.recover_message(encode_typed_data(full_message=mail), signature=done.raw) == ethereum.address()


# --- What is refused ---


@pytest.mark.parametrize(
    ("scheme", "kind", "chain_", "code"),
    [
        (ED25519, "evm-transaction", EVM, "intent_mismatch"),
        (ED25519, "evm-text", EVM, "intent_mismatch"),
        (ED25519, "bitcoin-text", BITCOIN, "intent_mismatch"),
        (TAPROOT, "evm-text", EVM, "intent_mismatch"),
        (TAPROOT, "solana-text", SOLANA, "intent_mismatch"),
        (ECDSA, "solana-text", SOLANA, "intent_mismatch"),
        (ECDSA, "message", "", "intent_mismatch"),
        (ECDSA, "evm-text", "evm:0", "unsupported_transaction"),
        (ECDSA, "evm-text", "evm:", "intent_mismatch"),
        (ECDSA, "evm-text", "evm:031337", "unsupported_transaction"),
        (ECDSA, "evm-text", "evm:1", "policy_chain"),
        (ECDSA, "evm-text", BITCOIN, "intent_mismatch"),
        (ECDSA, "bitcoin-text", "bitcoin:mainnet", "policy_chain"),
        (ECDSA, "bitcoin-text", "bitcoin:nowhere", "unsupported_transaction"),
        (ED25519, "solana-text", "solana:mainnet", "policy_chain"),
        (ED25519, "message", SOLANA, "intent_mismatch"),
    ],
)
def test_a_kind_belongs_to_its_schemes_and_chains(scheme: str, kind: Kind, chain_: str, code: str) -> None:
    cluster = wide(scheme)
    refused(code, cluster.signing(asked(cluster, kind, b"hello", chain_), cluster.names[:2]).start, "a")


@pytest.mark.parametrize(
    ("scheme", "kind", "chain_"),
    [(ED25519, "solana-text", SOLANA), (ED25519, "message", ""), (TAPROOT, "bitcoin-text", BITCOIN)],
)
def test_a_path_where_there_is_one_key(scheme: str, kind: Kind, chain_: str) -> None:
    cluster = wide(scheme)
    run = cluster.signing(asked(cluster, kind, b"hello", chain_, path=(0,)), cluster.names[:2])
    with pytest.raises(Refusal) as caught:
        run.start("a")
    assert caught.value.code in ("intent_mismatch", "unsupported_transaction")


def test_a_path_beside_a_psbt_is_refused() -> None:
    """It names its own, for each input."""
    cluster = wide(ECDSA)
    payload = draft(cluster.keys, [], [(1, PAID)]).payload()
    refused(
        "intent_mismatch",
        cluster.signing(asked(cluster, "bitcoin-psbt", payload, BITCOIN, path=(0,)), ("a", "b")).start,
        "a",
    )


def test_one_payload_as_another_kind() -> None:
    """A text that is a transaction's hexadecimal, or its very bytes, is signed as a text or not at all."""
    cluster = wide(ECDSA)
    transaction = evm.Transaction(CHAIN_ID, 0, 1, 10**9, 21_000, b"\x77" * 20, 1)
    text = asked(cluster, "evm-text", transaction.encode().hex().encode(), EVM)
    _, (signature,) = finished(cluster, text)
    key = coincurve.PublicKey.from_signature_and_message(signature, transaction.digest(), hasher=None)
    assert key.format() != cluster.public_key
    refused(
        "malformed_transaction",
        cluster.signing(asked(cluster, "evm-text", transaction.encode(), EVM), ("a", "b")).start,
        "a",
    )
    as_typed = asked(cluster, "evm-typed-data", transaction.encode(), EVM)
    refused("malformed_transaction", cluster.signing(as_typed, ("a", "b")).start, "a")
