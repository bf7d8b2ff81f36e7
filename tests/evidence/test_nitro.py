"""The verifier of Nitro documents: genuine ones, forged ones, and every rule broken once."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.evidence import cose, nitro
from strongroom.evidence.statement import AWS_NITRO_ROOT, Statement, TrustRoot
from strongroom.evidence.verify import read_document
from strongroom_simulator.document import raw_map, sign
from tests.simulator.bench import LIFE, MODULE, NOW, PCRS, Bench

AWS = TrustRoot("nitro", "production", AWS_NITRO_ROOT)


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="module")
def honest(bench: Bench) -> bytes:
    return bench.document()


def refused(bench: Bench, document: bytes, *, at: int = NOW, root: TrustRoot | None = None) -> str:
    with pytest.raises(Refusal) as caught:
        nitro.verify(document, root=root or bench.trust, at=at)
    return caught.value.code


def accepted(bench: Bench, document: bytes, *, at: int = NOW) -> Statement:
    return nitro.verify(document, root=bench.trust, at=at)


# --- Documents of real enclaves ---


def genuine(vectors: Path, name: str) -> bytes:
    return read_document((vectors / "nitro" / name).read_bytes())


@pytest.mark.parametrize(
    ("name", "pcr0", "registers", "bound"),
    [
        ("base1", "17bf8f048519797b", 16, {"public_key", "user_data"}),
        ("ev1", "f4d48b81a460c991", 16, {"nonce"}),
        ("marlin2", "2984ab215649c40f", 17, {"public_key", "user_data"}),
        ("veracruz1", "22f9e1c949208da5", 16, {"nonce", "user_data"}),
    ],
)
def test_a_real_enclaves_document_is_accepted(
    vectors: Path, name: str, pcr0: str, registers: int, bound: set[str]
) -> None:
    document = genuine(vectors, name)
    statement = nitro.verify(document, root=AWS, at=nitro.unverified_timestamp(document))
    assert statement.root == "nitro" and statement.mode == "production"
    assert statement.subject.startswith("i-")
    assert statement.measurements["pcr0"].hex().startswith(pcr0)
    assert len(statement.measurements) == registers
    assert {key for key in ("nonce", "user_data", "public_key") if getattr(statement, key) is not None} == bound
    assert 0 < statement.expires - statement.timestamp <= LIFE + 3


@pytest.mark.parametrize(
    ("name", "code"), [("eternis_invalid", "evidence_signature"), ("marlin_custom", "evidence_root")]
)
def test_published_documents_that_must_be_refused(vectors: Path, name: str, code: str) -> None:
    document = genuine(vectors, name)
    with pytest.raises(Refusal) as caught:
        nitro.verify(document, root=AWS, at=nitro.unverified_timestamp(document))
    assert caught.value.code == code


def test_a_real_document_is_expired_today_and_not_yet_made_the_day_before(vectors: Path) -> None:
    document = genuine(vectors, "base1")
    made = nitro.unverified_timestamp(document)
    for at in (made + 86_400, made - 86_400):
        with pytest.raises(Refusal) as caught:
            nitro.verify(document, root=AWS, at=at)
        assert caught.value.code == "evidence_expired"


def test_a_real_document_never_passes_for_simulated(vectors: Path, bench: Bench) -> None:
    document = genuine(vectors, "base1")
    assert refused(bench, document, at=nitro.unverified_timestamp(document)) == "evidence_root"


def test_a_verification_takes_less_than_ten_milliseconds(bench: Bench) -> None:
    document = bench.document()
    took = []
    for _ in range(20):
        started = time.process_time()
        accepted(bench, document)
        took.append(time.process_time() - started)
    assert min(took) < 0.010


# --- What an honest document says ---


def test_a_statement_carries_what_the_document_says(bench: Bench) -> None:
    statement = accepted(bench, bench.document())
    assert statement == Statement(
        root="nitro",
        mode="simulated",
        subject=MODULE,
        timestamp=NOW,
        expires=NOW + LIFE,
        nonce=b"the verifier's nonce",
        user_data=b"what it is bound to",
        public_key=b"a public key",
        measurements={f"pcr{index}": value for index, value in PCRS.items()},
    )


def test_absent_and_null_fields_are_the_same(bench: Bench) -> None:
    contents = cbor2.loads(bench.contents(public_key=None, user_data=None, nonce=None).payload())
    without = {key: value for key, value in contents.items() if value is not None}
    for payload in (contents, without):
        statement = accepted(bench, sign(cbor2.dumps(payload), bench.chain.leaf.key))
        assert (statement.public_key, statement.user_data, statement.nonce) == (None, None, None)


def test_every_field_at_its_limit(bench: Bench) -> None:
    full = {
        "module_id": "m" * 256,
        "pcrs": dict.fromkeys(range(32), b"\x01" * 48),
        "public_key": bytes(1024),
        "user_data": bytes(512),
        "nonce": bytes(512),
    }
    assert len(accepted(bench, bench.document(**full)).measurements) == 32
    assert accepted(bench, bench.document(user_data=b"", nonce=b"", public_key=b"")).nonce == b""


def test_nothing_of_a_document_that_is_too_large_is_read(bench: Bench) -> None:
    for size, read in ((cose.MAX_DOCUMENT, True), (cose.MAX_DOCUMENT + 1, False)):
        with pytest.raises(Refusal) as caught:
            nitro.verify(bytes(size), root=bench.trust, at=NOW)
        assert ("trailing" in caught.value.reason) == read


def test_a_document_is_read_from_base64_too(bench: Bench) -> None:
    document = bench.document()
    text = base64.encodebytes(document)
    assert read_document(document) == document
    assert read_document(text) == read_document(b"\r\n" + text) == document
    with pytest.raises(Refusal) as caught:
        read_document(b"not base64!")
    assert caught.value.code == "evidence_malformed"


# --- Rule 1: the envelope ---

Parts = list[object]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda raw: raw + b"\x00", id="a trailing byte"),
        pytest.param(lambda raw: raw[:-1], id="a byte short"),
        pytest.param(lambda raw: b"\xd2" + raw, id="tag 18"),
        pytest.param(lambda raw: b"\x81" + raw, id="an array around it"),
        pytest.param(lambda raw: b"\x9f" + raw[1:] + b"\xff", id="an indefinite length"),
        pytest.param(lambda raw: b"\x98\x04" + raw[1:], id="a length that is not minimal"),
        pytest.param(lambda raw: b"", id="nothing"),
        pytest.param(lambda raw: b"\x84" * 40_000, id="too large"),
        pytest.param(lambda raw: b"\x81" * 1000 + b"\x00", id="nested too deeply"),
        pytest.param(lambda raw: cbor2.dumps(cbor2.loads(raw)[:3]), id="three parts"),
        pytest.param(lambda raw: cbor2.dumps([*cbor2.loads(raw), b""]), id="five parts"),
    ],
)
def test_an_envelope_of_another_form(bench: Bench, change: Callable[[bytes], bytes]) -> None:
    assert refused(bench, change(bench.document())) == "evidence_malformed"


@pytest.mark.parametrize(
    ("index", "value"),
    [
        pytest.param(0, cbor2.dumps({1: -7}), id="ES256"),
        pytest.param(0, cbor2.dumps({1: -36}), id="ES512"),
        pytest.param(0, cbor2.dumps({1: 0}), id="no algorithm"),
        pytest.param(0, cbor2.dumps({}), id="an empty protected header"),
        pytest.param(0, b"", id="no protected header"),
        pytest.param(0, cbor2.dumps({1: -35, 4: b"kid"}), id="a key id"),
        pytest.param(0, b"\xa1\x01\x39\x00\x22", id="a header that is not minimal"),
        pytest.param(1, {4: b"kid"}, id="something unprotected"),
        pytest.param(1, None, id="a null unprotected header"),
        pytest.param(2, None, id="a detached payload"),
        pytest.param(2, "text", id="a payload of text"),
        pytest.param(3, b"", id="no signature"),
        pytest.param(3, bytes(64), id="a short signature"),
        pytest.param(3, bytes(97), id="a long signature"),
        pytest.param(3, "s" * 96, id="a signature of text"),
        pytest.param(3, [0] * 96, id="a signature of numbers"),
    ],
)
def test_a_part_of_another_form(bench: Bench, index: int, value: object) -> None:
    parts: Parts = cbor2.loads(bench.document())
    parts[index] = value
    assert refused(bench, cbor2.dumps(parts)) == "evidence_malformed"


def test_stock_qemu_signs_with_zeros(bench: Bench) -> None:
    """QEMU's virtio-nsm fills certificate, bundle and signature with 64 zero bytes, under an algorithm of -1."""
    zero = bytes(64)
    payload = bench.contents(certificate=zero, cabundle=(zero,)).payload()
    assert refused(bench, cbor2.dumps([cbor2.dumps({1: -1}), {}, payload, zero])) == "evidence_malformed"
    # The same, dressed up: still nobody's root.
    assert refused(bench, cbor2.dumps([cose.PROTECTED, {}, payload, bytes(96)])) == "evidence_root"


def test_an_unsigned_document_with_an_honest_chain(bench: Bench) -> None:
    parts: Parts = cbor2.loads(bench.document())
    parts[3] = bytes(96)
    assert refused(bench, cbor2.dumps(parts)) == "evidence_signature"


# --- Rule 2: the payload's fields ---


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("module_id", ""),
        ("module_id", b"i-1"),
        ("module_id", "x" * 257),
        ("digest", "SHA256"),
        ("digest", "SHA512"),
        ("digest", None),
        ("timestamp", 0),
        ("timestamp", -1),
        ("timestamp", 1 << 43),
        ("timestamp", True),
        ("timestamp", "now"),
        ("pcrs", {}),
        ("pcrs", []),
        ("pcrs", [bytes(48)]),
        ("pcrs", {index: bytes(48) for index in range(33)}),
        ("pcrs", {1: bytes(48)}),
        ("pcrs", {0: b"\1" * 48, 32: bytes(48)}),
        ("pcrs", {0: b"\1" * 48, -1: bytes(48)}),
        ("pcrs", {"0": b"\1" * 48}),
        ("pcrs", {0: b"\1" * 32}),
        ("pcrs", {0: b"\1" * 64}),
        ("pcrs", {0: "1" * 48}),
        ("certificate", b""),
        ("certificate", bytes(1025)),
        ("certificate", None),
        ("cabundle", []),
        ("cabundle", None),
        ("cabundle", [b""]),
        ("cabundle", [bytes(1025)]),
        ("cabundle", [b"x"] * 9),
        ("public_key", bytes(1025)),
        ("public_key", "text"),
        ("user_data", bytes(513)),
        ("nonce", bytes(513)),
        ("nonce", 7),
        ("surprise", None),
    ],
)
def test_a_field_out_of_its_bounds(bench: Bench, field: str, value: object) -> None:
    payload = cbor2.loads(bench.contents().payload())
    payload[field] = value
    assert refused(bench, sign(cbor2.dumps(payload), bench.chain.leaf.key)) == "evidence_malformed"


@pytest.mark.parametrize("field", ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"])
def test_a_field_that_is_missing(bench: Bench, field: str) -> None:
    payload = cbor2.loads(bench.contents().payload())
    del payload[field]
    assert refused(bench, sign(cbor2.dumps(payload), bench.chain.leaf.key)) == "evidence_malformed"


def signed_map(bench: Bench, pairs: list[tuple[bytes, bytes]]) -> bytes:
    return sign(raw_map(pairs), bench.chain.leaf.key)


def encoded(bench: Bench) -> list[tuple[bytes, bytes]]:
    return [(cbor2.dumps(key), cbor2.dumps(value)) for key, value in cbor2.loads(bench.contents().payload()).items()]


def test_a_field_that_comes_twice(bench: Bench) -> None:
    """A reader that takes the first nonce and one that takes the last would see two documents."""
    pairs = [*encoded(bench), (cbor2.dumps("nonce"), cbor2.dumps(b"another"))]
    assert refused(bench, signed_map(bench, pairs)) == "evidence_malformed"


def test_a_register_that_comes_twice(bench: Bench) -> None:
    registers = raw_map([(b"\x00", cbor2.dumps(b"\1" * 48)), (b"\x00", cbor2.dumps(b"\2" * 48))])
    pairs = [(key, registers if key == cbor2.dumps("pcrs") else value) for key, value in encoded(bench)]
    assert refused(bench, signed_map(bench, pairs)) == "evidence_malformed"


@pytest.mark.parametrize("value", [b"\xf9\x3c\x00", b"\xc1\x00", b"\xf7", b"\x5f\x41\x00\xff", b"\x41"])
def test_floats_tags_undefined_indefinite_and_short_values(bench: Bench, value: bytes) -> None:
    pairs = [(key, value if key == cbor2.dumps("nonce") else old) for key, old in encoded(bench)]
    assert refused(bench, signed_map(bench, pairs)) == "evidence_malformed"


def test_a_payload_with_a_trailing_byte(bench: Bench) -> None:
    assert refused(bench, sign(bench.contents().payload() + b"\x00", bench.chain.leaf.key)) == "evidence_malformed"


@pytest.mark.parametrize("payload", [b"\x80", b"\xf6", b"", b"\x01"])
def test_a_payload_that_is_no_map(bench: Bench, payload: bytes) -> None:
    assert refused(bench, sign(payload, bench.chain.leaf.key)) == "evidence_malformed"


# --- Rules 3, 5 and 9: root, signature, debug ---


def test_another_root(bench: Bench) -> None:
    assert refused(bench, Bench().document()) == "evidence_root"


def test_a_simulated_root_against_production(bench: Bench) -> None:
    assert refused(bench, bench.document(), root=AWS) == "evidence_root"


def test_roots_of_one_mode_cannot_be_pinned_in_the_other(bench: Bench) -> None:
    for mode, fingerprint in (("production", bench.root.fingerprint), ("simulated", AWS_NITRO_ROOT)):
        with pytest.raises(Refusal) as caught:
            TrustRoot("nitro", mode, fingerprint)  # type: ignore[arg-type]
        assert caught.value.code == "mode_mismatch"


def test_a_root_of_another_kind(bench: Bench) -> None:
    other = TrustRoot("pkcs11", "simulated", bench.root.fingerprint)
    assert refused(bench, bench.document(), root=other) == "evidence_root"


def test_a_document_signed_by_another_key(bench: Bench) -> None:
    assert refused(bench, bench.contents().sign(Bench().chain.leaf.key)) == "evidence_signature"


@pytest.mark.parametrize("field", ["module_id", "timestamp", "pcrs", "public_key", "user_data", "nonce"])
def test_a_field_that_was_changed_after_signing(bench: Bench, field: str) -> None:
    changed: dict[str, object] = {
        "module_id": "i-other",
        "timestamp": NOW * 1000 + 1250,
        "pcrs": {**PCRS, 16: bytes(48)},
        "public_key": b"the host's key",
        "user_data": b"another binding",
        "nonce": b"another nonce",
    }
    parts: Parts = cbor2.loads(bench.document())
    parts[2] = bench.contents(**{field: changed[field]}).payload()
    assert refused(bench, cbor2.dumps(parts)) == "evidence_signature"


def test_a_debug_enclave(bench: Bench) -> None:
    """The simulator's mode makes no difference: a debug enclave keeps no secret from its host."""
    assert refused(bench, bench.document(pcrs={**PCRS, 0: bytes(48)})) == "evidence_debug"


# --- Rules 6 and 7: time ---


def test_a_document_is_good_until_its_certificate_ends(bench: Bench) -> None:
    document = bench.document()
    assert accepted(bench, document, at=NOW + LIFE).timestamp == NOW
    assert refused(bench, document, at=NOW + LIFE + 1) == "evidence_expired"


def test_a_verifiers_clock_may_be_a_little_behind(bench: Bench) -> None:
    document = bench.document()
    assert accepted(bench, document, at=NOW - nitro.SKEW).timestamp == NOW
    assert refused(bench, document, at=NOW - nitro.SKEW - 1) == "evidence_expired"


@pytest.mark.parametrize("made", [NOW - 60, NOW + LIFE + 60])
def test_a_document_made_outside_its_leafs_life(bench: Bench, made: int) -> None:
    assert refused(bench, bench.document(timestamp=made * 1000), at=made) == "evidence_expired"


# --- Anything at all ---


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_is_refused_and_nothing_else_is_raised(bench: Bench, honest: bytes, data: st.DataObject) -> None:
    document = bytearray(honest)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(document) - 1))
        document[at] ^= data.draw(st.integers(1, 255))
    assume(bytes(document) != honest)
    with pytest.raises(Refusal):
        nitro.verify(bytes(document), root=bench.trust, at=NOW)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_payload_changed_before_signing_raises_refusals_alone(bench: Bench, data: st.DataObject) -> None:
    """The certificates' bytes too: what parses them must not fail in a way of its own."""
    payload = bytearray(bench.contents().payload())
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        nitro.verify(sign(bytes(payload), bench.chain.leaf.key), root=bench.trust, at=NOW)
    except Refusal as refusal:
        assert refusal.code.startswith("evidence_")


@given(st.binary(max_size=200))
def test_noise_is_malformed(noise: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        nitro.verify(noise, root=AWS, at=NOW)
    assert caught.value.code == "evidence_malformed"
