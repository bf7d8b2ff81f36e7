"""docs/native-messages.md, to the byte: its layouts are parsed, real messages decoded by them, and nothing is left."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import strongroom_native as native
from coincurve import PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.conftest import ROOT
from tests.native.conftest import ECDSA, ED25519, MUSIG2, TAPROOT, Keys, reloaded
from tests.native.driver import Relay

PAGE = (ROOT / "docs" / "native-messages.md").read_text()
SESSION = bytes(range(32))
DIGEST = hashlib.sha256(b"layouts").digest()
HEADER = 16
ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
SUITES = [ECDSA, ED25519, TAPROOT, MUSIG2]

LAYOUTS = {
    name.strip(): layout.strip()
    for block in re.findall(r"```layout\n(.*?)```", PAGE, flags=re.DOTALL)
    for name, _, layout in (line.partition("=") for line in block.splitlines() if line)
}


@dataclass
class Reader:
    """Takes fields off the front as a layout says. numbers: what its names stand for; a field of one byte is one."""

    data: bytes
    numbers: dict[str, int]

    def take(self, length: int) -> bytes:
        assert length <= len(self.data), "too short"
        head, self.data = self.data[:length], self.data[length:]
        return head

    def varint(self) -> int:
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                assert byte or shift == 7, "longer than it must be"
                return value

    def fields(self, layout: str) -> dict[str, Any]:
        """By name, or by what they are where they have none."""
        found = {}
        for item in items(layout):
            name, _, kind = item.rpartition(":")
            found[name or kind] = self.read(kind)
            if kind == "[1]":
                self.numbers[name] = found[name][0]
        return found

    def read(self, kind: str) -> Any:
        if kind.startswith("["):
            return self.take(self._number(kind[1:-1]))
        if kind == "scalar":
            assert self.varint() == 32
            scalar = self.take(32)
            assert int.from_bytes(scalar, "big") < ORDER
            return scalar
        if kind == "point":
            assert self.varint() == 33
            point = self.take(33)
            assert point[0] in (2, 3)
            return point
        word, _, arguments = kind.partition("(")
        return self._composed(word, arguments.removesuffix(")"))

    def _composed(self, word: str, arguments: str) -> Any:
        if word in ("bytes", "text"):
            length = self.varint()
            assert not arguments or length == self._number(arguments)
            data = self.take(length)
            return data.decode() if word == "text" else data
        if word == "list":
            count, _, inner = arguments.partition(", ")
            assert self.varint() == self._number(count)
            return [self.read(inner) for _ in range(self._number(count))]
        if word == "option":
            (some,) = self.take(1)
            assert some in (0, 1)
            return self.read(arguments) if some else None
        return self.fields(LAYOUTS[word])

    def _number(self, text: str) -> int:
        return int(text) if text.isdecimal() else self.numbers[text]


def items(layout: str) -> Iterator[str]:
    """Apart at the spaces, but not at those inside brackets."""
    depth, item = 0, ""
    for letter in layout + " ":
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == " " and depth == 0:
            yield item
            item = ""
        else:
            item += letter


def decoded(name: str, data: bytes, **numbers: int) -> dict[str, Any]:
    reader = Reader(data, numbers)
    fields = reader.fields(LAYOUTS[name])
    assert reader.data == b"", f"{len(reader.data)} bytes after {name}"
    return fields


def digest(tag: str, *parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(len(p).to_bytes(8, "big") + p for p in (tag.encode(), *parts))).digest()


def context(kind: str, suite: str, *parts: bytes, session: bytes = SESSION) -> bytes:
    rest = digest("strongroom/native/context/parts/v1", *parts)
    return digest("strongroom/native/context/v1", kind.encode(), suite.encode(), session, rest)


def header(of: bytes, turn: int, sender: int, recipient: int) -> bytes:
    return digest("strongroom/native/header/v1", of, bytes((turn, sender, recipient)))[:HEADER]


Said = dict[str, dict[str, Any]]
"""Bodies by the name of their layout; of several senders the last."""


def watch(ceremonies: dict[int, native.Ceremony], of: bytes, threshold: int) -> tuple[Said, dict[int, Any]]:
    """Runs a ceremony. Every message that party 1 gets has the documented header and body."""
    relay, said, turn = Relay(ceremonies), Said(), 0
    relay.start()
    while not relay.done:
        turn += 1
        for sender, broadcast, payload in relay.inboxes[1]:
            assert payload[:HEADER] == header(of, turn, sender, 0 if broadcast else 1)
            one = ceremonies[1]
            name = f"{one.suite} {one.kind} {turn}: {'broadcast' if broadcast else 'private'}"
            said[name] = decoded(name, payload[HEADER:], t=threshold)
        relay.turn()
    return said, {party: ceremony.result() for party, ceremony in ceremonies.items()}


def size(suite: str) -> int:
    return 3 if suite == MUSIG2 else 2


def test_every_round_of_every_suite_has_its_lines() -> None:
    for row in native.suites():
        for kind, rounds in row["rounds"].items():
            said = {int(number) for number in re.findall(rf"^{row['suite']} {kind} (\d+): ", PAGE, flags=re.MULTILINE)}
            assert said == set(range(1, rounds + 1))
        assert f"{row['suite']} sign contribution" in LAYOUTS
        assert row["version"] in PAGE


@pytest.mark.parametrize("suite", SUITES)
def test_the_messages_of_a_dkg(suite: str) -> None:
    threshold = size(suite)
    of = context("dkg", suite, bytes((threshold, 3)))
    said, shares = watch({i: native.dkg(suite, SESSION, i, threshold, 3) for i in (1, 2, 3)}, of, threshold)
    assert said.keys() == {name for name in LAYOUTS if name.startswith(f"{suite} dkg ")}
    share = shares[1]
    if suite == MUSIG2:
        [(_, opening)] = [(name, fields) for name, fields in said.items() if "dkg 2" in name]
        body = b"".join(opening.values())
        committed = said[f"{suite} dkg 1: broadcast"]["commitment"]
        assert committed == digest("strongroom/native/musig2/commitment/v1", of, b"\3", body)
        assert opening["key"] == share.verification_shares[2]


@pytest.mark.parametrize("suite", SUITES)
def test_the_messages_of_a_signing_and_its_contribution(keys: Keys, suite: str) -> None:
    threshold = size(suite)
    shares = keys(suite, threshold, 3)[:threshold]
    tweak = b"" if suite in (TAPROOT, MUSIG2) else None
    signers = bytes(share.index for share in shares)
    path = (44, 2**31 - 1) if suite == ECDSA else ()
    steps = b"".join(step.to_bytes(4, "big") for step in path)
    parts = (shares[0].public_key, bytes((threshold, 3)), signers, DIGEST, bytes((tweak is not None,)), b"", steps)
    of = context("sign", suite, *parts)
    ceremonies = {s.index: native.sign(s, SESSION, list(signers), DIGEST, tweak, path) for s in shares}
    said, contributions = watch(ceremonies, of, threshold)
    assert said.keys() == {name for name in LAYOUTS if re.match(rf"{suite} sign \d", name)}
    bodies = {}
    for party, contribution in contributions.items():
        assert contribution[:HEADER] == header(of, 255, party, 0)
        bodies[party] = decoded(f"{suite} sign contribution", contribution[HEADER:])
    if suite != ECDSA:
        first = [b"".join(list(body.values())[1:-1]) for body in bodies.values()]
        assert {body["list_digest"] for body in bodies.values()} == {digest("strongroom/native/list/v1", of, *first)}


def test_the_messages_of_a_pairing(keys: Keys) -> None:
    one, two = reloaded(*keys(ECDSA, 2, 3)[:2])
    plaintext, _ = opened(one)
    of = context("pair", ECDSA, plaintext["context"], one.public_key, b"\1\2")
    said, _ = watch({1: native.pair(one, SESSION, 2), 2: native.pair(two, SESSION, 1)}, of, 2)
    assert said.keys() == {name for name in LAYOUTS if name.startswith(f"{ECDSA} pair ")}
    assert one.pairing_digest(2) == two.pairing_digest(1)


def opened(share: native.KeyShare) -> tuple[dict[str, Any], bytes]:
    """A sealed share's plaintext, by another implementation of AES-GCM; and the secret."""
    key = native.DataKey.generate()
    blob = share.seal(key, b"the caller's")
    name = share.suite.encode()
    head, nonce, rest = blob[: 2 + len(name)], blob[2 + len(name) :][:12], blob[14 + len(name) :]
    assert head == bytes((1, len(name))) + name
    assert LAYOUTS["sealed"].split()[-3:] == ["nonce:[12]", "ciphertext", "tag:[16]"]
    plaintext = AESGCM(bytes(key.expose())).decrypt(nonce, rest, head + b"the caller's")
    fields = decoded("plaintext", plaintext)
    return fields, fields["secret"]


@pytest.mark.parametrize("suite", SUITES)
def test_a_package_and_a_sealed_share(keys: Keys, suite: str) -> None:
    share = keys(suite, size(suite), 3)[1]
    package = decoded("package", share.public_package())
    assert package["version"] == b"\1"
    fields, secret = opened(share)
    assert fields["public"] == package["public"] == {
        "suite": suite,
        "t": bytes((size(suite),)),
        "n": b"\3",
        "public_key": share.public_key,
        "verification_shares": share.verification_shares,
        "chain_code": share.chain_code,
    }  # fmt: skip
    assert fields["index"] == b"\2" and (suite == ECDSA) == (share.chain_code is not None)
    order = ORDER if suite != ED25519 else 2**252 + 27742317777372353535851937790883648493
    assert int.from_bytes(secret, "little" if suite == ED25519 else "big") < order


def test_an_ecdsa_share_is_the_number_that_is_documented(keys: Keys) -> None:
    share = keys(ECDSA, 2, 3)[0]
    assert PrivateKey(opened(share)[1]).public_key.format() == share.verification_shares[0]
