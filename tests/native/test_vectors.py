"""Vectors that the specifications publish. Those of RFC 9591 and BIP-327 are in the Rust tests."""

import csv
from pathlib import Path

import pytest
import strongroom_native as native

from tests.native.conftest import MUSIG2, TAPROOT

# BIP-340's test-vectors.csv, without the columns for signing.
BIP340 = list(csv.DictReader((Path(__file__).parent / "bip340.csv").read_text().splitlines()))


@pytest.mark.parametrize("row", BIP340, ids=[row["index"] for row in BIP340])
@pytest.mark.parametrize("suite", [TAPROOT, MUSIG2])
def test_bip340(row: dict[str, str], suite: str) -> None:
    key, message, signature = (bytes.fromhex(row[field]) for field in ("public key", "message", "signature"))
    valid = row["valid"] == "true"
    for parity in (b"\2", b"\3"):
        if signature:
            assert native.verify(suite, parity + key, message, signature) is valid
        else:  # rows 5 and 14: no point of the curve
            with pytest.raises(native.NativeError):
                native.verify(suite, parity + key, message, bytes(64))


# BIP-341, wallet-test-vectors.json, scriptPubKey: internal key, script root, output key.
BIP341 = [
    (
        "d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d",
        "",
        "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343",
    ),
    (
        "187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27",
        "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21",
        "147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3",
    ),
]


@pytest.mark.parametrize(("internal", "root", "output"), BIP341)
def test_bip341_output_keys(internal: str, root: str, output: str) -> None:
    for parity in (b"\2", b"\3"):
        assert native.output_key(parity + bytes.fromhex(internal), bytes.fromhex(root)).hex() == output


def test_output_key_refuses_other_tweaks() -> None:
    for wrong in (b"x", bytes(31), bytes(33)):
        with pytest.raises(native.NativeError):
            native.output_key(b"\2" + bytes.fromhex(BIP341[0][0]), wrong)
