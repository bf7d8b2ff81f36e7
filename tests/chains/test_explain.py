"""`strongroom tx explain`: what each chain's bytes would do, in words and for programs; refusals by code and reason."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from strongroom.chains import evm, explain
from strongroom.chains.effects import Allowance, Call, Effects, Signing, ToSign, Transfer
from strongroom.chains.evm import personal
from strongroom.chains.explain import CHAINS, Asked, Explanation
from strongroom.chains.solana import base58, offchain
from strongroom.wallet.certificate import Body, Certificate
from strongroom_client.cli.explain import load
from tests.chains import solana_cases as sol
from tests.chains.test_evm_calls import data
from tests.chains.test_evm_typed_data import MAIL
from tests.cluster.commands import Ran, inside
from tests.wallet.orders import ECDSA, ED25519, TAPROOT
from tests.wallet.test_certificate import honest, with_key
from tests.wire.refused import refused

TO = b"\x35" * 20
ME = Account.from_key(b"\7" * 32)
OWN = bytes.fromhex(ME.address[2:])
PLAIN = evm.Transaction(1, 9, 1, 20 * 10**9, 21_000, TO, 10**18 + 5)
PULL = evm.Transaction(1, 9, 1, 2, 50_000, b"\xaa" * 20, 0, data("transferFrom(address,address,uint256)", OWN, TO, 5))


def tx(chain: str, *arguments: str | Path) -> Ran:
    return inside("tx", "explain", "--chain", chain, *arguments)


def document(chain: str, *arguments: str | Path) -> Any:
    ran = tx(chain, *arguments, "--json")
    assert (ran.status, ran.err) == (0, ""), ran.out
    return ran.json


def certificate(folder: Path, body: Body) -> Path:
    file = folder / "wallet.cert"
    file.write_bytes(Certificate(body.encode(), ()).encode())
    return file


def ethereum_wallet() -> Body:
    return with_key(ECDSA, ME._key_obj.public_key.to_compressed_bytes())


# --- The command ---


def test_an_evm_transaction() -> None:
    assert document("evm", PLAIN.encode().hex()) == {
        "chain": "evm:1",
        "kind": "transaction",
        "sentences": [
            f"moves 1.000000000000000005 ether (1000000000000000005 wei) to 0x{TO.hex()}",
            "pays a fee of at most 0.00042 ether (420000000000000 wei)",
            "uses up nonce 9",
        ],
        "effects": {
            "transfers": [
                {"asset": "evm:1/native", "to": "0x" + TO.hex(), "amount": "1000000000000000005", "sender": None}
            ],
            "allowances": [],
            "calls": [],
            "signings": [],
            "delegations": [],
            "fee": {"asset": "evm:1/native", "at_most": "420000000000000"},
            "once": ["nonce:9"],
        },
        "to_sign": [{"message": PLAIN.digest().hex(), "path": []}],
    }


def test_for_people() -> None:
    ran = tx("evm", "0x" + PLAIN.encode().hex())
    assert ran.status == 0
    assert f"moves 1.000000000000000005 ether (1000000000000000005 wei) to 0x{TO.hex()}\n" in ran.out
    assert ran.out.splitlines()[-1] == f"to sign  {PLAIN.digest().hex()}"


@pytest.mark.parametrize(
    "written",
    [PLAIN.encode(), PLAIN.encode().hex().encode(), b" 0x" + PLAIN.encode().hex().upper().encode() + b"\n"],
    ids=["bytes", "hex", "prefixed"],
)
def test_a_file(tmp_path: Path, written: bytes) -> None:
    file = tmp_path / "transaction"
    file.write_bytes(written)
    assert document("evm", file)["to_sign"][0]["message"] == PLAIN.digest().hex()


def test_typed_data_is_known_by_its_first_letter(tmp_path: Path) -> None:
    file = tmp_path / "mail.json"
    file.write_text("\n" + json.dumps(MAIL))
    found = document("evm", file)
    assert found == document("evm", file, "--kind", "typed-data", "--network", "1")
    assert found["kind"] == "typed-data"
    assert found["effects"]["signings"] == [{"kind": "typed", "domain": "0x" + "cc" * 20, "what": "Mail"}]
    assert found["effects"]["fee"] is None
    assert found["to_sign"][0]["message"] == "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"


@pytest.mark.parametrize(
    ("chain", "network", "asset_chain", "signed"),
    [
        ("evm", None, "evm:1", personal.digest(b"c0ffee")),
        ("evm", "137", "evm:137", personal.digest(b"c0ffee")),
        ("solana", None, "solana:mainnet", offchain.encode(b"c0ffee")),
        ("solana", "devnet", "solana:devnet", offchain.encode(b"c0ffee")),
    ],
)
def test_a_text_is_the_files_own_bytes(
    tmp_path: Path, chain: str, network: str | None, asset_chain: str, signed: bytes
) -> None:
    """Also where it looks like hexadecimal."""
    file = tmp_path / "text"
    file.write_text("c0ffee")
    found = document(chain, file, "--kind", "text", *(() if network is None else ("--network", network)))
    assert (found["chain"], found["kind"]) == (asset_chain, "text")
    assert found["sentences"] == ["signs a text that begins: 'c0ffee'"]
    assert found["to_sign"] == [{"message": signed.hex(), "path": []}]
    assert document(chain, b"c0ffee".hex(), "--kind", "text")["to_sign"] == found["to_sign"]


def test_a_solana_message() -> None:
    raw = sol.message(sol.price(10**6), sol.units(5000), sol.transfer(1_500_000_000))
    found = document("solana", raw.hex())
    assert found["sentences"] == [
        f"moves 1.5 SOL (1500000000 lamports) to {base58.encode(sol.TO)}",
        "pays a fee of at most 0.00001 SOL (10000 lamports)",
    ]
    assert found["to_sign"] == [{"message": raw.hex(), "path": []}]
    assert found["chain"] == "solana:mainnet"


def psbt(body: Body) -> bytes:
    """Version 0 (BIP-174): one input of 100,000 satoshi that the Taproot wallet has, and one output."""
    own = b"\x51\x20" + body.wallet_key
    spent = (100_000).to_bytes(8, "little") + bytes((len(own),)) + own
    paid = b"\x00\x14" + TO
    outpoint = b"\x11" * 32 + bytes(4)
    unsigned = b"\2\0\0\0" + b"\1" + outpoint + b"\0" + b"\xfd\xff\xff\xff"
    unsigned += b"\1" + (90_000).to_bytes(8, "little") + bytes((len(paid),)) + paid + bytes(4)
    records = b"\1\0" + bytes((len(unsigned),)) + unsigned + b"\0"
    return b"psbt\xff" + records + b"\1\1" + bytes((len(spent),)) + spent + b"\0" + b"\0"


def taproot_wallet() -> Body:
    return with_key(TAPROOT, ethereum_wallet().public_key)


def test_a_psbt(tmp_path: Path) -> None:
    file = certificate(tmp_path, taproot_wallet())
    raw = psbt(taproot_wallet())
    found = document("bitcoin", base64.b64encode(raw).decode(), "--wallet", file, "--network", "testnet")
    address = "tb1qx56n2df4x56n2df4x56n2df4x56n2df4pzx9af"
    assert found["sentences"] == [
        f"moves 0.0009 BTC (90000 satoshi) to {found['effects']['transfers'][0]['to']}",
        "pays a fee of at most 0.0001 BTC (10000 satoshi)",
        f"uses up outpoint {'11' * 32}:0",
    ]
    assert found["effects"]["transfers"][0]["to"] == address
    assert [len(each["message"]) for each in found["to_sign"]] == [64]
    (tmp_path / "psbt").write_bytes(raw)
    again = document("bitcoin", tmp_path / "psbt", "--wallet", file, "--network", "testnet")
    assert again == found
    assert document("bitcoin", raw.hex(), "--wallet", file)["chain"] == "bitcoin:mainnet"


def test_bitcoin_needs_the_wallet_and_is_refused_for_another(tmp_path: Path) -> None:
    raw = psbt(taproot_wallet()).hex()
    ran = tx("bitcoin", raw, "--json")
    assert (ran.status, ran.json["refused"]["code"]) == (1, "unsupported_transaction")
    other = certificate(tmp_path, with_key(TAPROOT, b"\3" + taproot_wallet().wallet_key))
    for file, code in ((other, "intent_mismatch"), (certificate(tmp_path, honest()), "intent_mismatch")):
        ran = tx("bitcoin", raw, "--wallet", file, "--json")
        assert (ran.status, ran.json["refused"]["code"]) == (1, code)
    ran = tx("bitcoin", "00", "--kind", "typed-data", "--json")
    assert "no typed data" in ran.json["refused"]["reason"]


def test_a_text_of_bitcoins(tmp_path: Path) -> None:
    file = certificate(tmp_path, taproot_wallet())
    found = document("bitcoin", b"hello".hex(), "--kind", "text", "--wallet", file)
    assert found["sentences"] == ["signs a text that begins: 'hello'"]
    assert len(found["to_sign"][0]["message"]) == 64


def test_whose_it_is_needs_the_wallet(tmp_path: Path) -> None:
    file = certificate(tmp_path, ethereum_wallet())
    asked = PULL.encode().hex()
    assert document("evm", asked)["effects"]["transfers"][0]["sender"] == ME.address.lower()
    assert document("evm", asked, "--wallet", file)["effects"]["transfers"][0]["sender"] is None
    file.write_text(file.read_bytes().hex())  # as the host's API gives it
    assert document("evm", asked, "--wallet", file)["effects"]["transfers"][0]["sender"] is None


def test_a_solana_wallet_must_pay(tmp_path: Path) -> None:
    file = certificate(tmp_path, honest())
    raw = sol.message(sol.transfer(5)).hex()
    ran = tx("solana", raw, "--wallet", file, "--json")
    assert (ran.status, ran.json["refused"]["code"]) == (1, "unsupported_transaction")
    own = sol.message(payer=honest().public_key).hex()
    assert document("solana", own, "--wallet", file)["effects"]["fee"]["at_most"] == "5000"


@pytest.mark.parametrize(
    ("scheme", "chain"), [(ED25519, "evm"), (TAPROOT, "evm"), (ECDSA, "solana"), (TAPROOT, "solana")]
)
def test_a_wallet_of_another_curve_is_refused(tmp_path: Path, scheme: str, chain: str) -> None:
    body = with_key(scheme, ethereum_wallet().public_key) if scheme != ED25519 else honest()
    ran = tx(chain, "00", "--wallet", certificate(tmp_path, body), "--json")
    assert (ran.status, ran.json["refused"]["code"]) == (1, "intent_mismatch")
    assert scheme in ran.json["refused"]["reason"]


@pytest.mark.parametrize(
    ("chain", "arguments", "code", "reason"),
    [
        ("evm", (PLAIN.encode().hex() + "00",), "malformed_transaction", "1 bytes after"),
        ("evm", ("04c0",), "unsupported_transaction", "EIP-7702"),
        ("evm", (PLAIN.encode().hex(), "--network", "5"), "intent_mismatch", "for chain 1, not for 5"),
        ("evm", (PLAIN.encode().hex(), "--network", "mainnet"), "unsupported_transaction", "chain id"),
        ("evm", (PLAIN.encode().hex(), "--network", "0"), "unsupported_transaction", "chain id"),
        ("evm", (PLAIN.encode().hex(), "--kind", "text"), "malformed_transaction", "UTF-8"),
        ("evm", (PLAIN.encode().hex(), "--kind", "typed-data"), "malformed_transaction", "not JSON"),
        ("evm", (b"{}".hex(),), "malformed_transaction", "types, primaryType"),
        ("evm", (json.dumps(MAIL).encode().hex(), "--network", "5"), "intent_mismatch", "not for 5"),
        ("solana", (sol.message(sol.transfer(5)).hex() + "00",), "malformed_transaction", "trailing"),
        ("solana", ("00", "--kind", "typed-data"), "unsupported_transaction", "no typed data"),
        ("solana", ("00", "--kind", "text"), "malformed_transaction", "invisible"),
        ("evm", ("./nowhere",), "bad_file", "nowhere"),
        ("evm", ("a" * 1001,), "bad_file", "neither"),
        ("evm", ("",), "bad_file", "neither"),
        ("evm", ("cHNidP//////",), "unsupported_transaction", "type 112"),
        ("evm", ("cHNidP=",), "malformed_transaction", "PSBT"),
        ("evm", ("00", "--wallet", "./nowhere"), "bad_file", "nowhere"),
        ("evm", ("00", "--wallet", __file__), "malformed_cbor", ""),
    ],
    ids=range(19),
)
def test_a_refusal_has_code_reason_and_remedy(chain: str, arguments: tuple[str, ...], code: str, reason: str) -> None:
    ran = tx(chain, *arguments, "--json")
    assert ran.status == 1
    assert ran.json["refused"]["code"] == code
    assert reason in ran.json["refused"]["reason"]
    assert ran.json["refused"]["remedy"]
    people = tx(chain, *arguments)
    assert people.status == 1
    assert people.err.startswith(f"refused  {code}\n")
    assert people.out == ""


@pytest.mark.parametrize("arguments", [("--chain", "dogecoin"), ("--chain", "evm", "--kind", "digest"), ()])
def test_wrong_use_is_status_2(arguments: tuple[str, ...]) -> None:
    assert inside("tx", "explain", "00", *arguments).status == 2


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PLAIN.encode())))
    assert load("-", None) == PLAIN.encode()


# --- Words ---

ASSET = "evm:1/token:0xaa"


def sentence(**effects: Any) -> str:
    (found,) = Explanation("transaction", Effects("evm:1", **effects), ()).sentences()
    return found


@pytest.mark.parametrize(
    ("allowance", "words"),
    [
        (Allowance(ASSET, "S", 5), "lets S take 5 units of 0xaa, without end"),
        (Allowance(ASSET, "S", 5, 1_800_000_000), "lets S take 5 units of 0xaa, until 2027-01-15 08:00:00 UTC"),
        (Allowance(ASSET, "S", 5, 2**256 - 1), "lets S take 5 units of 0xaa, without end"),
        (Allowance(ASSET, "S", None), "lets S take all of 0xaa, now and in future, without end"),
        (Allowance(ASSET + "/*", "S", None), "lets S take all of 0xaa, now and in future, without end"),
        (Allowance(ASSET, "S", 0), "takes from S what it was allowed of 0xaa"),
        (Allowance(ASSET + "/*", "S", 0), "takes from S what it was allowed of 0xaa"),
        (
            Allowance(ASSET, "S", 5, added=True),
            "lets S take 5 units of 0xaa, on top of what it may take already, without end",
        ),
    ],
)
def test_allowances_in_words(allowance: Allowance, words: str) -> None:
    assert sentence(allowances=(allowance,)) == words


@pytest.mark.parametrize(
    ("transfer", "words"),
    [
        (Transfer(ASSET, "T", 0), "moves 0 units of 0xaa to T"),
        (Transfer(ASSET + "/7", "T", 1), "moves 1 units of 0xaa, item 7 to T"),
        (Transfer(ASSET, "T", 5, "W"), "moves 5 units of 0xaa out of W to T"),
        (Transfer("evm:137/native", "T", 10**17), "moves 0.1 coins (100000000000000000 wei) to T"),
        (Transfer("bitcoin:mainnet/native", "T", 1), "moves 0.00000001 BTC (1 satoshi) to T"),
        (Transfer("bitcoin:mainnet/native", "T", 2 * 10**8), "moves 2 BTC (200000000 satoshi) to T"),
    ],
)
def test_transfers_in_words(transfer: Transfer, words: str) -> None:
    assert sentence(transfers=(transfer,)) == words


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (Call("C", "0xdeadbeef", b"ab"), "calls method 0xdeadbeef of C with 2 bytes"),
        (Call("C", "0x00", b"", 10**18), "calls method 0x00 of C with 0 bytes and pays it 1 ether"),
        (Call("C", "0x00", b"", 0, ("A", "B")), "calls method 0x00 of C with 0 bytes and accounts A, B;"),
    ],
)
def test_calls_in_words(call: Call, words: str) -> None:
    found = sentence(calls=(call,))
    assert found.startswith(words)
    assert found.endswith("a rule must name it")


def test_signings_in_words() -> None:
    assert sentence(signings=(Signing("typed", None, "Mail"),)) == "signs typed data Mail for no named contract"
    assert sentence(signings=(Signing("typed", "0xcc", "Mail"),)) == "signs typed data Mail for 0xcc"
    assert sentence(signings=(Signing("text", None, "a\n'b"),)) == 'signs a text that begins: "a\\n\'b"'


def test_paths_are_shown() -> None:
    explained = Explanation("transaction", Effects("bitcoin:mainnet"), (ToSign(b"\1", (0, 7)),))
    assert explained.document()["to_sign"] == [{"message": "01", "path": [0, 7]}]


def test_every_chain_refuses_nothing_at_all() -> None:
    for chain in CHAINS:
        owner = taproot_wallet() if chain == "bitcoin" else None
        refused("malformed_transaction", explain.explain, chain, Asked(b"", wallet=owner))


def test_what_is_explained_is_what_is_judged() -> None:
    changed = dataclasses.replace(PLAIN, value=1)
    found = explain.explain("evm", Asked(changed.encode(), wallet=ethereum_wallet()))
    assert found.effects == changed.effects(OWN)
    assert found.to_sign == (ToSign(changed.digest()),)
