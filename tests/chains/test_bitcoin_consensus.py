"""Threshold signatures over what the decoder says, in blocks that Bitcoin Core's own validation takes."""

from __future__ import annotations

import base64
import dataclasses

import pytest
import strongroom_native as native

from strongroom.chains.bitcoin import WalletKeys, decode, message, signed
from strongroom.chains.bitcoin.encoding import Reader
from strongroom.chains.bitcoin.transaction import Output, Transaction, stack
from strongroom.chains.effects import ToSign, Transfer
from tests.chains.bitcoin_cases import ADDRESS, PAID, Coin, Paid, draft, number
from tests.chains.bitcoin_chain import MATURITY, SUBSIDY, Regtest, interpreter_takes
from tests.native.driver import run_dkg, run_sign

SCHEMES = ("dkls23-secp256k1", "frost-secp256k1-tr", "musig2-secp256k1")
COINS = 8
NATIVE = "bitcoin:regtest/native"


@dataclasses.dataclass
class Custody:
    """A wallet, two of two, and the coins that it was mined."""

    wallet: WalletKeys
    shares: list[native.KeyShare]
    coins: list[Coin]

    def sign(self, wanted: tuple[ToSign, ...]) -> list[bytes]:
        tweak = None if self.wallet.kind == "p2wpkh" else b""
        return [run_sign(self.shares, each.message, tweak) for each in wanted]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Regtest:
    return Regtest(tmp_path_factory.mktemp("regtest"))


@pytest.fixture(scope="module")
def custodies(chain: Regtest) -> dict[str, Custody]:
    made = {}
    for scheme in SCHEMES:
        shares = run_dkg(scheme, 2, 2)
        made[scheme] = Custody(WalletKeys(scheme, shares[0].public_key, shares[0].chain_code), shares, [])
    for custody in made.values():
        for _ in range(COINS):
            mined = chain.mine(custody.wallet.script(()))
            assert mined is not None
            custody.coins.append(mined)
    for _ in range(MATURITY):
        assert chain.mine()
    return made


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_bitcoin_core_takes_what_was_judged(
    chain: Regtest, custodies: dict[str, Custody], scheme: str, version: int
) -> None:
    custody = custodies[scheme]
    coins = [custody.coins.pop(), custody.coins.pop()]
    paid: list[Paid] = [(SUBSIDY, PAID), (SUBSIDY - 1000, ()), (0, b"\x6a\x05hello")]
    made = draft(custody.wallet, coins, paid, version=version, locktime=chain.height)
    decoded = decode(made.payload(), custody.wallet, "regtest")
    assert decoded.effects.transfers == (Transfer(NATIVE, ADDRESS, SUBSIDY),)
    assert decoded.effects.fee_ceiling == 1000
    signatures = custody.sign(decoded.to_sign)

    wrong = [signatures[0], signatures[0]]
    assert chain.mine(transactions=(Transaction.decode(signed(decoded.psbt, wrong)),)) is None

    raw = signed(decoded.psbt, signatures)
    transaction = Transaction.decode(raw)
    assert interpreter_takes(transaction, [each.output for each in coins])
    assert transaction.txid == decoded.psbt.transaction.txid
    assert chain.mine(transactions=(transaction,))
    assert chain.mine(transactions=(transaction,)) is None  # its outpoints are used up: Effects.once

    # The change is the wallet's, and is spent in its turn.
    follow = draft(custody.wallet, [Coin(transaction, index=1)], [(500, PAID)], version=version)
    again = decode(follow.payload(), custody.wallet, "regtest")
    assert again.effects.fee_ceiling == SUBSIDY - 1500
    assert chain.mine(transactions=(Transaction.decode(signed(again.psbt, custody.sign(again.to_sign))),))


@pytest.mark.parametrize("scheme", SCHEMES[1:])
def test_sighash_all_of_taproot_adds_its_byte(chain: Regtest, custodies: dict[str, Custody], scheme: str) -> None:
    custody = custodies[scheme]
    made = draft(custody.wallet, [custody.coins.pop(), custody.coins.pop()], [(SUBSIDY, PAID)])
    made.inputs[0][b"\3"] = number(1)
    decoded = decode(made.payload(), custody.wallet, "regtest")
    transaction = Transaction.decode(signed(decoded.psbt, custody.sign(decoded.to_sign)))
    assert [len(each.witness[0]) for each in transaction.inputs] == [65, 64]
    assert chain.mine(transactions=(transaction,))


@pytest.mark.parametrize("scheme", SCHEMES[1:])
def test_a_taproot_amount_that_is_a_lie_spends_nothing(
    chain: Regtest, custodies: dict[str, Custody], scheme: str
) -> None:
    """Why a witness UTXO is enough (BIP-341, sha_amounts): no node takes what the lie had signed, however combined."""
    custody = custodies[scheme]
    coins = custody.coins[-2:]
    true = draft(custody.wallet, coins, [(SUBSIDY, PAID)])
    lying = draft(custody.wallet, coins, [(SUBSIDY, PAID)])
    lying.inputs[1][b"\1"] = number(1000, 8) + lying.inputs[1][b"\1"][8:]
    decoded = decode(lying.payload(), custody.wallet, "regtest")
    assert decoded.effects.fee_ceiling == 1000
    lied = custody.sign(decoded.to_sign)
    honest = custody.sign(decode(true.payload(), custody.wallet, "regtest").to_sign)
    for signatures in (lied, [lied[0], honest[1]], [honest[0], lied[1]]):
        transaction = Transaction.decode(signed(decoded.psbt, signatures))
        assert not interpreter_takes(transaction, [each.output for each in coins])
        assert chain.mine(transactions=(transaction,)) is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_interpreter_takes_messages(custodies: dict[str, Custody], scheme: str) -> None:
    custody = custodies[scheme]
    challenge = custody.wallet.script(())
    (signature,) = custody.sign((message.signing(b"I am here", custody.wallet),))
    simple = message.simple(signature, custody.wallet)
    witness = stack(Reader(base64.b64decode(simple.removeprefix("smp")), "the witness"))
    for text, good in ((b"I am here", True), (b"I am there", False)):
        unsigned = message.to_sign(challenge, text)
        spending = dataclasses.replace(unsigned.inputs[0], witness=witness)
        whole = dataclasses.replace(unsigned, inputs=(spending,))
        assert interpreter_takes(whole, [Output(0, challenge)]) is good
