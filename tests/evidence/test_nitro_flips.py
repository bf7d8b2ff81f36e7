"""Every value of a document changed by itself, every byte of its certificates, and CBOR made to exhaust its reader.

`test_nitro.py` breaks each rule once; here nothing is left out.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from typing import Any, Final

import cbor2
import pytest

from strongroom.errors import Refusal
from strongroom.evidence import nitro
from strongroom.evidence.statement import require_measurements
from strongroom_simulator.document import raw_map, sign
from tests.simulator.bench import NOW, PCRS, Bench

Path = tuple[int | str, ...]

PARTS: Final = ("protected", "unprotected", "payload", "signature")
CERTIFICATES: Final = frozenset({"evidence_chain", "evidence_signature", "evidence_root", "evidence_expired"})


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def refused(bench: Bench, document: bytes, *, at: int = NOW) -> Refusal:
    with pytest.raises(Refusal) as caught:
        nitro.verify(document, root=bench.trust, at=at)
    return caught.value


# --- Every value, after signing ---


def values(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All that a document holds, down to what holds nothing itself, and where."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from values(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from values(inner, (*path, index))
    else:
        yield path, value


def others(value: Any) -> list[Any]:
    """The same kind of value, a bit or a letter away."""
    if isinstance(value, bytes):
        flipped = [bytes((value[0] ^ 1,)) + value[1:], value[:-1] + bytes((value[-1] ^ 0x80,))]
        return [*flipped, value[:-1], value + b"\0"]
    if isinstance(value, str):
        return [chr(ord(value[0]) ^ 1) + value[1:], value + "x"]
    return [value + 1, value - 1]


def put(holder: Any, path: Path, value: Any) -> Any:
    """A copy of `holder` with the value at this place."""
    if not path:
        return value
    copy: Any = list(holder) if isinstance(holder, list) else dict(holder)
    copy[path[0]] = put(holder[path[0]], path[1:], value)
    return copy


def expected(path: Path) -> frozenset[str]:
    if path[0] == "protected" or path[:2] == ("payload", "digest"):
        return frozenset({"evidence_malformed"})
    if path[0] == "signature":
        return frozenset({"evidence_signature", "evidence_malformed"})
    if path[1] == "certificate":
        return frozenset({"evidence_chain", "evidence_signature"})
    if path[1] == "cabundle":
        return frozenset({"evidence_root"} if path[2] == 0 else {"evidence_chain", "evidence_signature"})
    if path[1] == "pcrs":
        return frozenset({"evidence_signature", "evidence_malformed"})  # Malformed: a register of another length.
    return frozenset({"evidence_signature"})


def test_every_value_of_a_document_flipped_one_at_a_time(bench: Bench) -> None:
    parts = cbor2.loads(bench.document())
    whole = dict(zip(PARTS, (parts[0], parts[1], cbor2.loads(parts[2]), parts[3]), strict=True))
    seen: set[Path] = set()
    for path, value in values(whole):
        for other in others(value):
            changed = put(whole, path, other)
            payload = cbor2.dumps(changed["payload"])
            document = cbor2.dumps([changed["protected"], changed["unprotected"], payload, changed["signature"]])
            assert refused(bench, document).code in expected(path), (path, other)
        seen.add(path)
    assert {("payload", "pcrs", index) for index in PCRS} <= seen
    assert {("payload", "cabundle", index) for index in range(len(bench.chain.bundle))} <= seen
    assert len(seen) == len(PCRS) + len(bench.chain.bundle) + 9


def test_every_name_of_a_field_changed(bench: Bench) -> None:
    parts = cbor2.loads(bench.document())
    payload = cbor2.loads(parts[2])
    for name in payload:
        changed = {(key + "x" if key == name else key): value for key, value in payload.items()}
        signed = sign(cbor2.dumps(changed), bench.chain.leaf.key)
        assert refused(bench, signed).code == "evidence_malformed", name


def test_two_registers_exchanged(bench: Bench) -> None:
    """The same values, told of other registers: the signature is over which is which."""
    parts = cbor2.loads(bench.document())
    parts[2] = bench.contents(pcrs={**PCRS, 1: PCRS[2], 2: PCRS[1]}).payload()
    assert refused(bench, cbor2.dumps(parts)).code == "evidence_signature"


# --- Every byte of a certificate, in a document that its leaf signs anew ---


@pytest.mark.parametrize("index", range(5))
def test_every_byte_of_a_certificate(bench: Bench, index: int) -> None:
    """Only its own issuer could make it another one. The document's signature is good each time."""
    chain = [*bench.chain.bundle, bench.chain.leaf.der]
    honest = chain[index]
    for at in range(len(honest)):
        chain[index] = honest[:at] + bytes((honest[at] ^ 1,)) + honest[at + 1 :]
        document = bench.document(cabundle=tuple(chain[:-1]), certificate=chain[-1])
        refusal = refused(bench, document)
        assert refusal.code in CERTIFICATES, (at, refusal)
        assert index or refusal.code == "evidence_root"


def test_a_signature_of_which_bits_are_unused() -> None:
    """Found by the test above: where the last bit happens to be zero, the library takes both encodings."""
    while (bench := Bench()).chain.leaf.der[-1] & 1:
        pass
    leaf = bench.chain.leaf.der
    at = len(leaf) - len(bench.chain.leaf.certificate.signature) - 1
    assert leaf[at] == 0
    refusal = refused(bench, bench.document(certificate=leaf[:at] + b"\1" + leaf[at + 1 :]))
    assert refusal.code == "evidence_chain" and "bytes" in refusal.reason


def test_a_leaf_with_a_byte_more(bench: Bench) -> None:
    for more in (b"\0", bench.chain.leaf.der):
        document = bench.document(certificate=(bench.chain.leaf.der + more)[: nitro.MAX_CERTIFICATE])
        assert refused(bench, document).code == "evidence_chain"


# --- CBOR that costs more than it brings ---

HUGE: Final = {
    "arrays in arrays": b"\x81" * 16_000 + b"\0",
    "maps in maps": b"\xa1\x00" * 8_000 + b"\0",
    "an array that announces four thousand million": b"\x9a\xff\xff\xff\xff",
    "an array that announces more than memory": b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "a map that announces more than memory": b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff",
    "bytes that announce more than memory": b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "text that announces more than memory": b"\x7b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "an array of many": b"\x99\x10\x01" + b"\0" * 4097,
    "a wide tree": b"\x98\xff" + (b"\x98\x30" + b"\0" * 48) * 255,
    "an endless array": b"\x9f" * 1000,
    "tags around tags": b"\xc0" * 16_000 + b"\0",
}


@pytest.mark.parametrize("what", HUGE)
def test_cbor_that_would_exhaust_its_reader(bench: Bench, what: str) -> None:
    """As a document, as a signed payload, and as a field of one: refused in little time and memory."""
    signed = sign(HUGE[what], bench.chain.leaf.key)
    inside = sign(
        raw_map(
            [
                (cbor2.dumps(key), HUGE[what] if key == "nonce" else cbor2.dumps(value))
                for key, value in cbor2.loads(bench.contents().payload()).items()
            ]
        ),
        bench.chain.leaf.key,
    )
    tracemalloc.start()
    began = time.process_time()
    for document in (HUGE[what], signed, inside):
        assert refused(bench, document).code == "evidence_malformed"
    assert time.process_time() - began < 1.0
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()


# --- Registers that say less than a roster asks ---


def test_registers_that_are_missing_or_zero_do_not_pass_for_the_rosters(bench: Bench) -> None:
    """A document may leave registers out, or have them zero: then it is not the roster's enclave."""
    reference = {f"pcr{index}": value for index, value in PCRS.items()}
    require_measurements(nitro.verify(bench.document(), root=bench.trust, at=NOW), reference)
    for index in set(PCRS) - {0}:
        without = {key: value for key, value in PCRS.items() if key != index}
        for registers in (without, {**PCRS, index: bytes(48)}):
            statement = nitro.verify(bench.document(pcrs=registers), root=bench.trust, at=NOW)
            with pytest.raises(Refusal) as caught:
                require_measurements(statement, reference)
            assert caught.value.code == "evidence_measurement" and f"pcr{index} " in caught.value.reason


def test_more_registers_than_a_roster_asks_for_change_nothing(bench: Bench) -> None:
    full = {index: PCRS.get(index, b"\xee" * 48) for index in range(nitro.MAX_PCRS)}
    statement = nitro.verify(bench.document(pcrs=full), root=bench.trust, at=NOW)
    require_measurements(statement, {f"pcr{index}": value for index, value in PCRS.items()})
