"""Threshold-signed messages executed by LiteSVM, with real token programs: what happens is what the effects said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import strongroom_native as native
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import MessageV0, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import CreateAccountParams, create_account, create_nonce_account
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from strongroom.chains.effects import Allowance, Effects, Transfer
from strongroom.chains.solana import Message, base58, programs
from tests.chains.solana_cases import (
    advance,
    associated,
    checked,
    instruction,
    message,
    meta,
    price,
    u64,
    units,
)
from tests.native.driver import run_dkg, run_sign

SOL = 10**9
TO = bytes(Keypair.from_seed(b"\2" * 32).pubkey())
SPENDER = bytes(Keypair.from_seed(b"\3" * 32).pubkey())


@pytest.fixture(scope="module")
def shares() -> list[native.KeyShare]:
    return run_dkg("frost-ed25519", 2, 3)


class Chain:
    """A chain with a wallet of ten SOL and of a million of a token's units."""

    def __init__(self, shares: list[native.KeyShare], program: bytes = programs.TOKEN) -> None:
        self.svm, self.shares, self.program = LiteSVM(), shares, program
        self.wallet = shares[0].public_key
        self.faucet, mint = Keypair.from_seed(b"\7" * 32), Keypair.from_seed(b"\x08" * 32)
        self.mint = bytes(mint.pubkey())
        self.svm.airdrop(Pubkey.from_bytes(self.wallet), 10 * SOL)
        self.svm.airdrop(self.faucet.pubkey(), 10 * SOL)
        size, owner = 82, bytes(self.faucet.pubkey())
        params = CreateAccountParams(
            from_pubkey=self.faucet.pubkey(),
            to_pubkey=mint.pubkey(),
            lamports=self.svm.minimum_balance_for_rent_exemption(size),
            space=size,
            owner=Pubkey.from_bytes(program),
        )
        own = self.account(self.wallet)
        self.set_up(
            create_account(params),
            instruction(program, b"\x14\6" + owner + b"\0", meta(self.mint)),  # InitializeMint2, 6 decimals
            self.creation(self.wallet, payer=owner),
            instruction(program, b"\7" + u64(10**6), meta(self.mint), meta(own), meta(owner, signs=True)),  # MintTo
            signers=[mint],
        )

    def account(self, owner: bytes) -> bytes:
        return associated(owner, self.mint, self.program)

    def creation(self, owner: bytes, payer: bytes | None = None) -> Instruction:
        payer = payer or self.wallet
        rest = [meta(key, writable=False) for key in (owner, self.mint, programs.SYSTEM, self.program)]
        return instruction(programs.ASSOCIATED, b"\1", meta(payer, signs=True), meta(self.account(owner)), *rest)

    def transfer(self, amount: int, to: bytes = TO) -> Instruction:
        return instruction(programs.SYSTEM, b"\2\0\0\0" + u64(amount), meta(self.wallet, signs=True), meta(to))

    def checked(self, tag: int, amount: int, target: bytes) -> Instruction:
        built = checked(tag, amount, self.account(self.wallet), self.mint, target, program=self.program)
        accounts: list[AccountMeta] = [*built.accounts[:3], meta(self.wallet, signs=True, writable=False)]
        return Instruction(built.program_id, built.data, accounts)

    def set_up(self, *instructions: Instruction, signers: Sequence[Keypair] = ()) -> None:
        built = MessageV0.try_compile(self.faucet.pubkey(), instructions, [], self.svm.latest_blockhash())
        done = self.svm.send_transaction(VersionedTransaction(built, [self.faucet, *signers]))
        assert not isinstance(done, FailedTransactionMetadata), done

    def sol(self, key: bytes) -> int:
        return self.svm.get_balance(Pubkey.from_bytes(key)) or 0

    def tokens(self, key: bytes) -> int:
        """Of a token account."""
        account = self.svm.get_account(Pubkey.from_bytes(key))
        return 0 if account is None else int.from_bytes(account.data[64:72], "little")

    def pay(self, *instructions: Instruction, blockhash: bytes | None = None, version: int | None = 0) -> Effects:
        """Judged, signed by two of three, executed: the effects, whose fee ceiling held."""
        raw = message(
            *instructions,
            payer=self.wallet,
            blockhash=blockhash or bytes(self.svm.latest_blockhash()),
            version=version,
        )
        judged = Message.decode(raw)
        effects = programs.effects(judged, self.wallet, "local")
        before = self.sol(self.wallet)
        signature = run_sign(self.shares[:2], judged.encode())
        done = self.svm.send_transaction(
            VersionedTransaction.populate(from_bytes_versioned(raw), [Signature.from_bytes(signature)])
        )
        assert not isinstance(done, FailedTransactionMetadata), done
        sent = sum(each.amount for each in effects.transfers if each.asset.endswith("native"))
        assert before - self.sol(self.wallet) - sent <= effects.fee_ceiling
        return effects


@pytest.mark.parametrize("version", [None, 0])
def test_a_system_transfer(shares: list[native.KeyShare], version: int | None) -> None:
    chain = Chain(shares)
    effects = chain.pay(price(1000), units(10_000), chain.transfer(SOL), version=version)
    assert effects.transfers == (Transfer("solana:local/native", base58.encode(TO), SOL),)
    assert chain.sol(TO) == SOL
    assert chain.sol(chain.wallet) == 9 * SOL - effects.fee_ceiling


@pytest.mark.parametrize("program", [programs.TOKEN, programs.TOKEN_2022])
def test_a_token_transfer_that_creates_the_account(shares: list[native.KeyShare], program: bytes) -> None:
    chain = Chain(shares, program)
    effects = chain.pay(chain.creation(TO), chain.checked(12, 400_000, chain.account(TO)))
    asset = f"solana:local/token:{base58.encode(chain.mint)}"
    assert effects.transfers == (Transfer(asset, base58.encode(TO), 400_000),)
    assert chain.tokens(chain.account(TO)) == 400_000
    assert chain.tokens(chain.account(chain.wallet)) == 600_000
    # Again, now that the account is there: without its creation the effects name the account.
    again = chain.pay(chain.checked(12, 1, chain.account(TO)))
    assert again.transfers == (Transfer(asset, base58.encode(chain.account(TO)), 1),)
    assert chain.tokens(chain.account(TO)) == 400_001


def test_an_approval_lets_the_delegate_take(shares: list[native.KeyShare]) -> None:
    chain = Chain(shares)
    effects = chain.pay(chain.checked(13, 7, SPENDER))
    asset = f"solana:local/token:{base58.encode(chain.mint)}"
    assert effects.allowances == (Allowance(asset, base58.encode(SPENDER), 7),)
    account = chain.svm.get_account(Pubkey.from_bytes(chain.account(chain.wallet)))
    assert account is not None
    assert account.data[76:108] == SPENDER  # delegate
    assert account.data[121:129] == u64(7)  # delegated_amount


@pytest.mark.parametrize("limited", [False, True])
def test_the_fee_ceiling_holds_where_only_the_budget_is_set(shares: list[native.KeyShare], limited: bool) -> None:
    """Compute budget instructions cost units themselves: a million lamports each here, for nothing else at all."""
    chain = Chain(shares)
    before = chain.sol(chain.wallet)
    effects = chain.pay(price(10**12), *([units(3000)] if limited else []))
    assert before - chain.sol(chain.wallet) == effects.fee_ceiling == 5000 + 3000 * 10**6


def nonce_account(chain: Chain) -> tuple[bytes, bytes]:
    """An account whose authority is the wallet, and the value that it holds."""
    account = Keypair.from_seed(b"\x09" * 32)
    wallet = Pubkey.from_bytes(chain.wallet)
    chain.set_up(*create_nonce_account(chain.faucet.pubkey(), account.pubkey(), wallet, SOL), signers=[account])
    return bytes(account.pubkey()), nonce_value(chain, bytes(account.pubkey()))


def nonce_value(chain: Chain, account: bytes) -> bytes:
    stored = chain.svm.get_account(Pubkey.from_bytes(account))
    assert stored is not None
    return bytes(stored.data[40:72])


def test_a_durable_nonce_outlives_the_blockhash(shares: list[native.KeyShare]) -> None:
    chain = Chain(shares)
    account, value = nonce_account(chain)
    chain.svm.expire_blockhash()
    effects = chain.pay(advance_of(chain, account), chain.transfer(SOL), blockhash=value)
    assert effects.transfers[0].amount == chain.sol(TO) == SOL
    assert nonce_value(chain, account) != value


def test_bytes_do_not_tell_a_nonce_from_a_blockhash(shares: list[native.KeyShare]) -> None:
    """A host puts a recent blockhash where the nonce's value belongs, and the payment happens all the same: two such,
    of which a signer believed that one replaces the other, would both be spent."""
    chain = Chain(shares)
    account, value = nonce_account(chain)
    chain.svm.expire_blockhash()
    recent = bytes(chain.svm.latest_blockhash())
    assert recent != value
    effects = chain.pay(advance_of(chain, account), chain.transfer(SOL), blockhash=recent)
    assert chain.sol(TO) == SOL
    assert effects.once == ()
    assert Hash.from_bytes(recent) == chain.svm.latest_blockhash()


def advance_of(chain: Chain, account: bytes) -> Instruction:
    built = advance(account, chain.wallet)
    return Instruction(
        built.program_id, built.data, [*built.accounts[:2], meta(chain.wallet, signs=True, writable=False)]
    )


def test_a_changed_byte_is_not_what_was_signed(shares: list[native.KeyShare]) -> None:
    chain = Chain(shares)
    raw = message(chain.transfer(SOL), payer=chain.wallet, blockhash=bytes(chain.svm.latest_blockhash()))
    other = message(chain.transfer(2 * SOL), payer=chain.wallet, blockhash=bytes(chain.svm.latest_blockhash()))
    signature = Signature.from_bytes(run_sign(shares[1:], raw))
    for changed, fails in ((other, True), (raw, False)):
        done = chain.svm.send_transaction(VersionedTransaction.populate(from_bytes_versioned(changed), [signature]))
        assert isinstance(done, FailedTransactionMetadata) == fails
    assert chain.sol(TO) == SOL
