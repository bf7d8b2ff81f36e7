"""The facade over both roots of trust."""

from __future__ import annotations

import pytest

from strongroom.errors import Refusal
from strongroom.evidence.statement import AWS_NITRO_ROOT, Root, TrustRoot
from strongroom.evidence.verify import verify
from tests.simulator.bench import NOW, Bench


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def refused(document: bytes, kind: Root, roots: list[TrustRoot]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        verify(document, kind=kind, roots=roots, at=NOW)
    return caught.value


def test_any_pinned_root_of_the_kind_will_do(bench: Bench) -> None:
    other = TrustRoot("nitro", "simulated", Bench().root.fingerprint)
    for roots in ([bench.trust], [other, bench.trust], [bench.trust, other]):
        assert verify(bench.document(), kind="nitro", roots=roots, at=NOW).mode == "simulated"


def test_no_root_of_the_kind_is_pinned(bench: Bench) -> None:
    token = TrustRoot("pkcs11", "simulated", bench.root.fingerprint)
    for roots in ([], [token]):
        assert refused(bench.document(), "nitro", roots).code == "evidence_root"


def test_no_root_matches(bench: Bench) -> None:
    aws = TrustRoot("nitro", "production", AWS_NITRO_ROOT)
    assert refused(bench.document(), "nitro", [aws]).code == "evidence_root"


def test_the_reason_is_the_matching_roots(bench: Bench) -> None:
    other = TrustRoot("nitro", "simulated", Bench().root.fingerprint)
    expired = bench.document(timestamp=(NOW - 600) * 1000)
    assert refused(expired, "nitro", [bench.trust, other]).code == "evidence_expired"


def test_a_document_of_the_other_kind_is_malformed(bench: Bench) -> None:
    token = TrustRoot("pkcs11", "simulated", bench.root.fingerprint)
    assert refused(bench.document(), "pkcs11", [token]).code == "evidence_malformed"
