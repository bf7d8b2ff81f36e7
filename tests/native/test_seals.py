"""A seal opens with its key and additional data, to the same share, without pairwise state; and not otherwise."""

import hashlib

import pytest
import strongroom_native as native
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.conftest import ECDSA, ED25519, MUSIG2, TAPROOT, Keys, reloaded
from tests.native.driver import run_dkg, run_pair, run_sign

DIGEST = hashlib.sha256(b"sealed").digest()
ALL = [(ECDSA, 2), (ED25519, 2), (TAPROOT, 2), (MUSIG2, 3)]


def refused(code: str, *arguments: object) -> bool:
    with pytest.raises(native.NativeError) as refusal:
        native.KeyShare.unseal(*arguments)  # type: ignore[arg-type]
    return refusal.value.code == code


@pytest.mark.parametrize(("suite", "threshold"), ALL)
def test_unsealed_shares_sign(keys: Keys, suite: str, threshold: int) -> None:
    shares = keys(suite, threshold, 3)
    again = reloaded(*shares[:threshold])
    for old, new in zip(shares, again, strict=False):
        new.check()
        assert (new.public_package(), new.index) == (old.public_package(), old.index)
    if suite == ECDSA:
        assert again[0].paired() == []
        run_pair(again[0], again[1])
    assert native.verify(suite, shares[0].public_key, DIGEST, run_sign(again, DIGEST))


@pytest.mark.parametrize(("suite", "threshold"), ALL)
def test_no_pairwise_state_in_the_seal(keys: Keys, suite: str, threshold: int) -> None:
    """OT state of one pair has 50 KB, so a seal of a few hundred bytes cannot hold it."""
    key = native.DataKey.generate()
    assert all(len(share.seal(key, b"")) < 500 for share in keys(suite, threshold, 3))


def test_wrong_key_and_other_data_are_refused(keys: Keys) -> None:
    share, key = keys(ED25519, 2, 3)[0], native.DataKey.generate()
    blob = share.seal(key, b"wallet 1, epoch 1")
    assert native.KeyShare.unseal(blob, key, b"wallet 1, epoch 1").index == 1
    assert refused("seal_mismatch", blob, native.DataKey.generate(), b"wallet 1, epoch 1")
    assert refused("seal_mismatch", blob, key, b"wallet 1, epoch 2")
    assert refused("seal_mismatch", blob, key, b"")


def test_the_suite_is_authenticated(keys: Keys) -> None:
    key = native.DataKey.generate()
    blob = keys(ED25519, 2, 3)[0].seal(key, b"")
    name = ED25519.encode()
    assert blob[2 : 2 + len(name)] == name
    other = TAPROOT.encode()
    assert refused("seal_mismatch", blob[:1] + bytes([len(other)]) + other + blob[2 + len(name) :], key, b"")
    # A byte of the name moved into the additional data must not open it either.
    assert refused("seal_mismatch", blob[:1] + bytes([len(name) - 1]) + blob[2:], key, b"")


def test_nonces_are_fresh(keys: Keys) -> None:
    key = native.DataKey.generate()
    start = 2 + len(ED25519)
    assert len({keys(ED25519, 2, 3)[0].seal(key, b"")[start : start + 12] for _ in range(100)}) == 100


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_bytes_are_refused(data: st.DataObject) -> None:
    share, key = _share(), native.DataKey.generate()
    blob = bytearray(share.seal(key, b"aad"))
    change = data.draw(st.sampled_from(["flip", "cut", "append"]))
    if change == "flip":
        blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    elif change == "cut":
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    else:
        blob += data.draw(st.binary(min_size=1, max_size=20))
    assert refused("seal_mismatch", bytes(blob), key, b"aad")


_kept: list[native.KeyShare] = []


def _share() -> native.KeyShare:
    if not _kept:
        _kept.extend(run_dkg(ED25519, 2, 2))
    return _kept[0]


def test_shares_of_different_parties_differ(keys: Keys) -> None:
    """`check` and `sign` speak for the party in the seal, whatever the host says of the blob."""
    first, second = reloaded(*keys(ED25519, 2, 3)[:2])
    assert (first.index, second.index) == (1, 2)
    with pytest.raises(native.NativeError) as refusal:
        native.sign(first, bytes(32), [2, 3], DIGEST)
    assert refusal.value.code == "misuse"


def test_data_keys() -> None:
    raw = bytearray(range(32))
    key = native.DataKey.take(raw)
    assert raw == bytes(32)
    assert key.expose() == bytes(range(32))
    assert "1f" not in repr(key)
    assert native.DataKey.generate().expose() != native.DataKey.generate().expose()
    for length in (0, 31, 33):
        wrong = bytearray(b"x" * length)
        with pytest.raises(native.NativeError) as refusal:
            native.DataKey.take(wrong)
        assert refusal.value.code == "misuse"
        assert wrong == bytes(length)
