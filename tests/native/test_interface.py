"""The module's own promises: arguments, descriptions, hashes."""

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
import strongroom_native as native

from tests.conftest import ROOT
from tests.native.conftest import ECDSA, ED25519, MUSIG2, TAPROOT, Keys

ALL = [ECDSA, ED25519, TAPROOT, MUSIG2]


def misused(call: Callable[..., Any], *arguments: Any) -> bool:
    with pytest.raises(native.NativeError) as caught:
        call(*arguments)
    error = caught.value
    assert str(error) == f"{error.code}: {error.reason}"
    return (error.code, error.verdict, error.culprits) == ("misuse", None, ())


def test_suites() -> None:
    rows = native.suites()
    assert [row["suite"] for row in rows] == ALL
    assert [row["suite"] for row in rows if row["pairwise"]] == [ECDSA]
    assert [row["suite"] for row in rows if row["auditor"] != "none"] == [ED25519]
    lock = (ROOT / "native" / "Cargo.lock").read_text()
    for row in rows:
        assert f'name = "{row["library"]}"\nversion = "{row["version"]}"' in lock
        assert row["curve"] in ("secp256k1", "ed25519")
        assert row["taproot"] is (row["suite"] in (TAPROOT, MUSIG2))
        assert row["all_sign"] is (row["suite"] == MUSIG2)
        assert row["rounds"]["sign"] == (2 if row["suite"] == ECDSA else 1)


@pytest.mark.parametrize("suite", ALL)
def test_dkg_arguments(suite: str) -> None:
    groups = [(1, 1, 2), (1, 0, 2), (1, 3, 2), (1, 2, 1), (1, 2, 10), (1, 2, 258)]
    members = [(0, 2, 2), (3, 2, 2), (-1, 2, 2), (257, 2, 2)]
    for index, threshold, parties in groups + members:
        assert misused(native.dkg, suite, bytes(32), index, threshold, parties)
    for session in (b"", bytes(31), bytes(33)):
        assert misused(native.dkg, suite, session, 1, 2, 2)
    assert misused(native.dkg, "gg20", bytes(32), 1, 2, 2)


def test_musig2_is_n_of_n() -> None:
    assert misused(native.dkg, MUSIG2, bytes(32), 1, 2, 3)


@pytest.mark.parametrize("suite", ALL)
def test_sign_arguments(keys: Keys, suite: str) -> None:
    share = keys(suite, 3 if suite == MUSIG2 else 2, 3)[0]
    good = [1, 2, 3] if suite == MUSIG2 else [1, 2]
    wrong: list[list[int]] = [[], [1], [1, 1], [2, 3], [1, 4], [0, 1], [1, -2], [1, 2, 3, 4], [1, 258]]
    wrong.append([1, 2] if suite == MUSIG2 else [1, 2, 3])
    for signers in wrong:
        assert misused(native.sign, share, bytes(32), signers, bytes(32))
    assert misused(native.sign, share, bytes(31), good, bytes(32))
    for tweak in (b"x", bytes(31), bytes(33)):
        assert misused(native.sign, share, bytes(32), good, bytes(32), tweak)
    if suite in (ECDSA, MUSIG2):
        for message in (b"", bytes(31), bytes(33)):
            assert misused(native.sign, share, bytes(32), good, message)
    if suite in (ECDSA, ED25519):
        assert misused(native.sign, share, bytes(32), good, bytes(32), b"")


def test_signers_in_any_order(keys: Keys) -> None:
    one, two = keys(ED25519, 2, 3)[:2]
    first, second = native.sign(one, bytes(32), [2, 1], b"m"), native.sign(two, bytes(32), [1, 2], b"m")
    first.start()
    [(_, payload)] = second.start().outgoing
    assert first.receive([(2, True, payload)]).done


def test_pair_arguments(keys: Keys) -> None:
    share = keys(ECDSA, 2, 3)[0]
    for peer in (0, 1, 4, -1, 257):
        assert misused(native.pair, share, bytes(32), peer)
    assert misused(native.pair, share, bytes(31), 2)


@pytest.mark.parametrize("suite", ALL)
def test_verify_answers_or_refuses(keys: Keys, suite: str) -> None:
    key = keys(suite, 3 if suite == MUSIG2 else 2, 3)[0].public_key
    for signature in (b"", bytes(64), bytes(65), b"\xff" * 64, b"\xff" * 65, bytes(66)):
        assert native.verify(suite, key, bytes(32), signature) is False
    for wrong in (b"", bytes(len(key)), key[:-1], key + b"\0", b"\xff" * len(key)):
        assert misused(native.verify, suite, wrong, bytes(32), bytes(64))


def test_ceremonies_describe_themselves(keys: Keys) -> None:
    shares = keys(ECDSA, 2, 3)
    kinds = [
        native.dkg(ED25519, bytes(32), 1, 2, 2),
        native.pair(shares[0], bytes(32), 2),
        native.sign(shares[0], bytes(32), [1, 2], bytes(32)),
    ]
    assert [(c.kind, c.suite, c.round) for c in kinds] == [("dkg", ED25519, 0), ("pair", ECDSA, 0), ("sign", ECDSA, 0)]


def test_handles_are_made_by_functions_only() -> None:
    for handle in (native.KeyShare, native.Ceremony, native.DataKey, native.Step):
        with pytest.raises(TypeError):
            handle()
        with pytest.raises(TypeError):
            type("Sub", (handle,), {})


def test_handles_do_not_travel(keys: Keys) -> None:
    for handle in (keys(ED25519, 2, 3)[0], native.DataKey.generate(), native.dkg(ED25519, bytes(32), 1, 2, 2)):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                attempt(handle)


def test_keccak256() -> None:
    """The empty string's hash, and the topic of ERC-20's Transfer."""
    assert native.keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert native.keccak256(b"Transfer(address,address,uint256)").hex() == (
        "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    )


def test_every_code_is_in_the_stub() -> None:
    """`src/error.rs` and the stub tell the same story."""
    source = (ROOT / "native" / "src" / "error.rs").read_text()
    codes = set(re.findall(r'=> "([a-z_]+)",', source)) - {"proof", "accusation", "unattributed"}
    stub = (ROOT / "native" / "strongroom_native.pyi").read_text()
    assert len(codes) == 17
    assert all(f"`{code}`" in stub for code in codes)
