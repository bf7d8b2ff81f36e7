"""Chains of certificates under a Nitro document: cut, reordered, of other keys, roles and dates."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.errors import Refusal
from strongroom.evidence import nitro
from strongroom_simulator import pki
from strongroom_simulator.pki import Extension, Identity
from tests.simulator.bench import LIFE, NOW, Bench


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def refused(bench: Bench, document: bytes, *, at: int = NOW) -> str:
    with pytest.raises(Refusal) as caught:
        nitro.verify(document, root=bench.trust, at=at)
    return caught.value.code


def basic(ca: bool, path_length: int | None = None, *, critical: bool = True) -> Extension:
    return Extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical)


def usage(*, signs_certificates: bool, signs_documents: bool, critical: bool = True) -> Extension:
    value = x509.KeyUsage(signs_documents, False, False, False, False, signs_certificates, False, False, False)
    return Extension(value, critical)


AUTHORITY = (basic(True), usage(signs_certificates=True, signs_documents=False))
LEAF = (basic(False), usage(signs_certificates=False, signs_documents=True, critical=False))


def made(
    issuer: Identity,
    name: str,
    extensions: Iterable[Extension],
    *,
    begins: int = NOW - 60,
    ends: int = NOW + LIFE,
    curve: ec.EllipticCurve | None = None,
) -> Identity:
    return pki.issue(issuer, ec.generate_private_key(curve or ec.SECP384R1()), pki.name(name), extensions, begins, ends)


def under(bench: Bench, *above: Identity, leaf: Identity) -> bytes:
    """A document signed by `leaf`, with the root and these certificates above it."""
    bundle = (bench.root.der, *(each.der for each in above))
    return bench.contents(certificate=leaf.der, cabundle=bundle).sign(leaf.key)


def test_the_shortest_and_the_longest_honest_chain(bench: Bench) -> None:
    above: list[Identity] = []
    for depth in range(8):
        leaf = made(above[-1] if above else bench.root, "leaf", LEAF)
        statement = nitro.verify(under(bench, *above, leaf=leaf), root=bench.trust, at=NOW)
        assert statement.expires == NOW + LIFE
        above.append(made(above[-1] if above else bench.root, f"authority {depth}", AUTHORITY))
    leaf = made(above[-1], "leaf", LEAF)
    assert refused(bench, under(bench, *above, leaf=leaf)) == "evidence_malformed"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda bundle: bundle[:-1], id="cut above the leaf"),
        pytest.param(lambda bundle: (bundle[0], *bundle[2:]), id="cut below the root"),
        pytest.param(lambda bundle: bundle[:1], id="the root alone"),
        pytest.param(lambda bundle: (bundle[0], *reversed(bundle[1:])), id="reversed below the root"),
        pytest.param(lambda bundle: (bundle[0], bundle[2], bundle[1], bundle[3]), id="two swapped"),
        pytest.param(lambda bundle: (*bundle, bundle[-1]), id="one twice"),
        pytest.param(lambda bundle: (bundle[0], *bundle), id="the root twice"),
        pytest.param(lambda bundle: (*bundle, Bench().root.der), id="a stranger at the end"),
        pytest.param(lambda bundle: (bundle[0], Bench().root.der, *bundle[1:]), id="a stranger inside"),
        pytest.param(lambda bundle: (*bundle[:-1], bundle[-1] + b"\x00"), id="a trailing byte"),
        pytest.param(lambda bundle: (*bundle[:-1], bundle[-1][:-1]), id="a byte short"),
        pytest.param(lambda bundle: (*bundle[:-1], b"\x30\x00"), id="no certificate"),
    ],
)
def test_a_bundle_that_is_not_the_path(bench: Bench, change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> None:
    assert refused(bench, bench.document(cabundle=change(bench.chain.bundle))) == "evidence_chain"


def test_a_name_that_is_no_text(bench: Bench) -> None:
    """Found by fuzzing: the library parses names late, inside the path's verification, as a bare ValueError."""
    broken = bench.chain.bundle[1].replace(b"simulated-1.nitro-enclaves", b"\xffimulated-1.nitro-enclaves")
    assert broken != bench.chain.bundle[1]
    bundle = (bench.root.der, broken, *bench.chain.bundle[2:])
    assert refused(bench, bench.document(cabundle=bundle)) == "evidence_chain"


def test_a_certificate_of_a_version_that_does_not_exist(bench: Bench) -> None:
    """Found by fuzzing: that exception of the library is not a ValueError."""
    broken = bench.chain.leaf.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    assert broken != bench.chain.leaf.der
    assert refused(bench, bench.document(certificate=broken)) == "evidence_chain"


def test_the_root_in_another_place(bench: Bench) -> None:
    assert refused(bench, bench.document(cabundle=tuple(reversed(bench.chain.bundle)))) == "evidence_root"


def test_a_chain_that_another_root_of_the_same_name_signed(bench: Bench) -> None:
    """The pinned root stands in front; the certificates below are the impostor's."""
    other = Bench()
    bundle = (bench.root.der, *other.chain.bundle[1:])
    document = bench.contents(certificate=other.chain.leaf.der, cabundle=bundle).sign(other.chain.leaf.key)
    assert refused(bench, document) == "evidence_chain"


def test_a_leaf_that_somebody_else_signed(bench: Bench) -> None:
    impostor = Bench().root
    leaf = made(impostor, "leaf", LEAF)
    assert refused(bench, under(bench, leaf=leaf)) == "evidence_chain"


@pytest.mark.parametrize(
    "extensions",
    [
        pytest.param((basic(True), LEAF[1]), id="an authority"),
        pytest.param((LEAF[1],), id="no basic constraints"),
        pytest.param((basic(False, critical=False), LEAF[1]), id="basic constraints not critical"),
        pytest.param((LEAF[0],), id="no key usage"),
        pytest.param((LEAF[0], usage(signs_certificates=False, signs_documents=False)), id="signs nothing"),
        pytest.param((LEAF[0], usage(signs_certificates=True, signs_documents=True)), id="signs certificates too"),
        pytest.param(
            (*LEAF, Extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)),
            id="an unknown critical extension",
        ),
    ],
)
def test_a_leaf_of_another_role(bench: Bench, extensions: tuple[Extension, ...]) -> None:
    assert refused(bench, under(bench, leaf=made(bench.root, "leaf", extensions))) == "evidence_chain"


@pytest.mark.parametrize(
    "extensions",
    [
        pytest.param((basic(False), AUTHORITY[1]), id="no authority"),
        pytest.param((AUTHORITY[1],), id="no basic constraints"),
        pytest.param((AUTHORITY[0],), id="no key usage"),
        pytest.param((AUTHORITY[0], usage(signs_certificates=False, signs_documents=True)), id="signs documents alone"),
    ],
)
def test_an_issuer_of_another_role(bench: Bench, extensions: tuple[Extension, ...]) -> None:
    issuer = made(bench.root, "issuer", extensions)
    assert refused(bench, under(bench, issuer, leaf=made(issuer, "leaf", LEAF))) == "evidence_chain"


def test_a_leaf_that_issues_a_leaf(bench: Bench) -> None:
    """What a lone enclave's key could try: to certify another."""
    assert refused(
        bench,
        bench.contents(
            certificate=(leaf := made(bench.chain.leaf, "leaf", LEAF)).der,
            cabundle=(*bench.chain.bundle, bench.chain.leaf.der),
        ).sign(leaf.key),
    ) == ("evidence_chain")


def test_a_path_longer_than_its_constraint(bench: Bench) -> None:
    first = made(bench.root, "first", (basic(True, 0), AUTHORITY[1]))
    second = made(first, "second", AUTHORITY)
    assert refused(bench, under(bench, first, second, leaf=made(second, "leaf", LEAF))) == "evidence_chain"


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP521R1(), ec.SECP256K1()])
def test_an_issuer_on_another_curve(bench: Bench, curve: ec.EllipticCurve) -> None:
    issuer = made(bench.root, "issuer", AUTHORITY, curve=curve)
    assert refused(bench, under(bench, issuer, leaf=made(issuer, "leaf", LEAF))) == "evidence_chain"


def test_a_leaf_on_another_curve(bench: Bench) -> None:
    leaf = made(bench.root, "leaf", LEAF, curve=ec.SECP256R1())
    contents = bench.contents(certificate=leaf.der, cabundle=(bench.root.der,))
    assert refused(bench, contents.sign(bench.chain.leaf.key)) == "evidence_chain"


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_leaf_with_another_kind_of_key(bench: Bench, kind: str) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    template = made(bench.root, "leaf", LEAF).certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(template.subject)
        .issuer_name(template.issuer)
        .public_key(key.public_key())
        .serial_number(template.serial_number)
        .not_valid_before(template.not_valid_before_utc)
        .not_valid_after(template.not_valid_after_utc)
    )
    der = builder.sign(bench.root.key, hashes.SHA384()).public_bytes(Encoding.DER)
    assert refused(bench, bench.document(certificate=der, cabundle=(bench.root.der,))) == "evidence_chain"


def test_a_certificate_signed_with_a_weaker_hash(bench: Bench) -> None:
    template = made(bench.root, "leaf", LEAF)
    builder = (
        x509.CertificateBuilder()
        .subject_name(template.certificate.subject)
        .issuer_name(template.certificate.issuer)
        .public_key(template.key.public_key())
        .serial_number(template.certificate.serial_number)
        .not_valid_before(template.certificate.not_valid_before_utc)
        .not_valid_after(template.certificate.not_valid_after_utc)
    )
    for extension in LEAF:
        builder = builder.add_extension(extension.value, extension.critical)
    leaf = Identity(builder.sign(bench.root.key, hashes.SHA256()), template.key)
    assert refused(bench, under(bench, leaf=leaf)) == "evidence_chain"


@pytest.mark.parametrize(("begins", "ends"), [(NOW - 600, NOW - 60), (NOW + 60, NOW + 600)])
def test_an_issuer_that_is_not_alive(bench: Bench, begins: int, ends: int) -> None:
    issuer = made(bench.root, "issuer", AUTHORITY, begins=begins, ends=ends)
    assert refused(bench, under(bench, issuer, leaf=made(issuer, "leaf", LEAF))) == "evidence_expired"


def test_evidence_expires_with_the_first_certificate_of_its_path(bench: Bench) -> None:
    issuer = made(bench.root, "issuer", AUTHORITY, ends=NOW + 600)
    document = under(bench, issuer, leaf=made(issuer, "leaf", LEAF))
    assert nitro.verify(document, root=bench.trust, at=NOW).expires == NOW + 600


def test_the_simulators_chain_has_the_extensions_of_a_real_one(bench: Bench) -> None:
    """As read from published documents: no key identifiers on the leaf, whose key usage is not critical."""
    leaf = bench.chain.leaf.certificate
    assert {(type(each.value), each.critical) for each in leaf.extensions} == {
        (x509.BasicConstraints, True),
        (x509.KeyUsage, False),
    }
    path = [x509.load_der_x509_certificate(der) for der in bench.chain.bundle]
    limits = [each.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length for each in path]
    assert limits == [None, 2, 1, 0]
