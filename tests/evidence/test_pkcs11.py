"""PKCS#11 evidence: what is accepted, and that every other byte string is refused with a code, and only so."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import Refusal
from strongroom.evidence import pkcs11
from strongroom.evidence.pkcs11 import Payload, TokenDescription
from strongroom.evidence.statement import Statement, TrustRoot
from strongroom.evidence.verify import verify as verify_any
from strongroom.wire import cbor
from tests.hsm.authority import AUTHORITY, DAY, LEAF, START, Authority, common, der, usage, weak_rsa

NOW = int((START + DAY).timestamp())
HSM = TokenDescription("Vendor PKCS11", "5.1", "Vendor", "Model 9", "0042", "custody", "1.0", "3.2")
SOFTHSM = dataclasses.replace(HSM, manufacturer="SoftHSM project")


@dataclass(eq=False, repr=False)
class Signer:
    """An identity key in software, and the documents it makes, right or wrong."""

    authority: Authority
    name: str = "hsm-a"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.certificate = self.authority.issue(self.name, self.key.public_key())

    def payload(self, **changes: Any) -> Payload:
        fields: dict[str, Any] = {
            "mode": "simulated",
            "name": self.name,
            "nonce": b"nonce",
            "user_data": b"user data",
            "public_key": b"public key",
            "timestamp": NOW,
            "configuration": bytes(48),
            "certificate": der(self.certificate),
            "chain": tuple(der(each) for each in self.authority.chain),
            "token": HSM,
        }
        return Payload(**{**fields, **changes})

    def sign(self, payload: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self.key.sign(pkcs11.signed_bytes(payload), ec.ECDSA(hashes.SHA256())))
        return pkcs11.assemble(payload, r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def document(self, **changes: Any) -> bytes:
        return self.sign(self.payload(**changes).encode())

    def with_certificate(self, **how: Any) -> bytes:
        how = {"name": self.name, "key": self.key.public_key(), **how}
        return self.document(certificate=der(self.authority.issue(**how)))

    @property
    def root(self) -> TrustRoot:
        return TrustRoot("pkcs11", "simulated", self.authority.fingerprint)

    def verify(self, document: bytes, at: int = NOW) -> Statement:
        return pkcs11.verify(document, root=self.root, at=at)

    def refused(self, document: bytes, code: str, at: int = NOW) -> str:
        with pytest.raises(Refusal) as caught:
            self.verify(document, at)
        assert caught.value.code == code, caught.value
        return caught.value.reason


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer(Authority("operator hsms", issuer=Authority()))


def test_a_document_says_what_it_was_asked(signer: Signer) -> None:
    statement = signer.verify(signer.document(configuration=b"c" * 48))
    assert (statement.root, statement.mode, statement.subject) == ("pkcs11", "simulated", "hsm-a")
    assert (statement.nonce, statement.user_data, statement.public_key) == (b"nonce", b"user data", b"public key")
    assert statement.measurements == {"configuration": b"c" * 48}
    assert statement.timestamp == NOW


def test_it_ends_with_the_first_certificate_that_ends(signer: Signer) -> None:
    assert signer.verify(signer.document()).expires == int((START + 365 * DAY).timestamp())
    short = Signer(Authority("operator hsms", issuer=Authority(), days=30))
    assert short.verify(short.document()).expires == int((START + 30 * DAY).timestamp())


def test_a_root_may_issue_by_itself_and_with_p256() -> None:
    signer = Signer(Authority(key=ec.generate_private_key(ec.SECP256R1()), digest=hashes.SHA256()))
    assert signer.verify(signer.document()).subject == "hsm-a"


def test_the_facade_knows_it(signer: Signer) -> None:
    roots = [TrustRoot("pkcs11", "simulated", bytes(32)), signer.root]
    assert verify_any(signer.document(), kind="pkcs11", roots=roots, at=NOW).subject == "hsm-a"


def test_what_is_shown_before_it_is_verified(signer: Signer) -> None:
    assert pkcs11.unverified(signer.document()) == signer.payload()


def test_a_published_cose_signature_structure() -> None:
    """RFC 9052 section 4.4, by hand: 4 items, "Signature1", protected, external data, payload."""
    external = b"strongroom/pkcs11-evidence/v1"
    head = b"\x84\x6aSignature1\x43\xa1\x01\x26\x58" + bytes((len(external),)) + external
    assert pkcs11.signed_bytes(b"abc") == head + b"\x43abc"


# --- refusals, in the order of the rules ---


def test_a_document_over_the_limit(signer: Signer) -> None:
    signer.refused(bytes(pkcs11.MAX_DOCUMENT + 1), "evidence_malformed")


_ENVELOPES: dict[str, cbor.Value] = {
    "empty": [],
    "three parts": [pkcs11.PROTECTED, {}, b""],
    "ES384": [b"\xa1\x01\x38\x22", {}, b"p", bytes(64)],
    "unprotected": [pkcs11.PROTECTED, {"kid": b"x"}, b"p", bytes(64)],
    "text": [pkcs11.PROTECTED, {}, "p", bytes(64)],
    "short": [pkcs11.PROTECTED, {}, b"p", bytes(63)],
    "long": [pkcs11.PROTECTED, {}, b"p", bytes(96)],
    "detached": [pkcs11.PROTECTED, {}, None, bytes(64)],
    "no map": [pkcs11.PROTECTED, {}, b"p", bytes(64)],
    "a map": {"payload": b"p"},
}


@pytest.mark.parametrize("parts", _ENVELOPES.values(), ids=_ENVELOPES.keys())
def test_an_envelope_of_another_shape(signer: Signer, parts: cbor.Value) -> None:
    signer.refused(cbor.encode(parts), "evidence_malformed")


def _fields(signer: Signer, change: Callable[[dict[str, Any]], object]) -> bytes:
    value = cbor.decode(signer.payload().encode())
    assert isinstance(value, dict)
    fields: dict[str, Any] = dict(value)
    change(fields)
    return signer.sign(cbor.encode(fields))


_GONE = object()
_WRONG_FIELDS: dict[str, tuple[str, object]] = {
    "absent": ("nonce", _GONE),
    "unknown": ("extra", 1),
    "version": ("v", 2),
    "nonce null": ("nonce", None),
    "nonce long": ("nonce", bytes(1025)),
    "user_data long": ("user_data", bytes(1025)),
    "public_key long": ("public_key", bytes(1025)),
    "configuration short": ("configuration", bytes(47)),
    "time negative": ("timestamp", -1),
    "time far": ("timestamp", 1 << 40),
    "time true": ("timestamp", True),
    "chain empty": ("chain", []),
    "chain long": ("chain", [b""] * 5),
    "chain large": ("chain", [bytes(5000)]),
    "certificate large": ("certificate", bytes(5000)),
    "token null": ("token", None),
    "token empty": ("token", {}),
    "token number": ("token", {**HSM.value(), "serial": 7}),
    "token unknown": ("token", {**HSM.value(), "colour": "red"}),
    "token long": ("token", {**HSM.value(), "model": "m" * 65}),
}


@pytest.mark.parametrize("change", _WRONG_FIELDS.values(), ids=_WRONG_FIELDS.keys())
def test_a_payload_with_other_fields(signer: Signer, change: tuple[str, object]) -> None:
    name, value = change
    signer.refused(
        _fields(signer, lambda f: f.pop(name) if value is _GONE else f.update({name: value})), "evidence_malformed"
    )


def test_another_root(signer: Signer) -> None:
    other = Signer(Authority())
    signer.refused(other.document(), "evidence_root")
    # The operator's own intermediate is not the root that was pinned.
    signer.refused(signer.document(chain=(der(signer.authority.certificate),)), "evidence_root")


def test_a_nitro_root_accepts_none(signer: Signer) -> None:
    root = TrustRoot("nitro", "simulated", signer.authority.fingerprint)
    with pytest.raises(Refusal, match="evidence_root"):
        pkcs11.verify(signer.document(), root=root, at=NOW)


def test_modes_never_mix(signer: Signer) -> None:
    production = TrustRoot("pkcs11", "production", signer.authority.fingerprint)
    with pytest.raises(Refusal, match="mode_mismatch"):
        pkcs11.verify(signer.document(), root=production, at=NOW)
    signer.refused(signer.document(mode="production"), "mode_mismatch")
    signer.refused(signer.document(mode="debug"), "mode_mismatch")
    accepted = pkcs11.verify(signer.document(mode="production"), root=production, at=NOW)
    assert accepted.mode == "production"


def test_softhsm_is_never_in_production(signer: Signer) -> None:
    production = TrustRoot("pkcs11", "production", signer.authority.fingerprint)
    with pytest.raises(Refusal, match="mode_mismatch: the token is SoftHSM"):
        pkcs11.verify(signer.document(mode="production", token=SOFTHSM), root=production, at=NOW)
    assert signer.verify(signer.document(token=SOFTHSM)).mode == "simulated"


def test_certificates_that_do_not_parse(signer: Signer) -> None:
    signer.refused(signer.document(certificate=b"\x30\x00"), "evidence_chain")
    signer.refused(signer.document(certificate=der(signer.certificate) + b"\x00"), "evidence_chain")
    root = signer.payload().chain[-1]
    signer.refused(signer.document(chain=(b"", root)), "evidence_chain")


def test_a_certificate_of_no_known_version(signer: Signer) -> None:
    """`cryptography` raises InvalidVersion, which is no ValueError."""
    raw = bytearray(signer.payload().certificate)
    where = raw.index(b"\xa0\x03\x02\x01\x02") + 4
    raw[where] = 3
    signer.refused(signer.document(certificate=bytes(raw)), "evidence_chain")


def test_weaker_keys_and_digests() -> None:
    for authority in (Authority(key=weak_rsa()), Authority(key=ec.generate_private_key(ec.SECP521R1()))):
        signer = Signer(authority)
        assert "P-256 or P-384" in signer.refused(signer.document(), "evidence_chain")


def test_a_leaf_key_that_is_not_p256(signer: Signer) -> None:
    for key in (ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()):
        signer.refused(signer.with_certificate(key=key.public_key()), "evidence_chain")


def test_a_certificate_of_another_key(signer: Signer) -> None:
    """A host that puts its own document under a signer's certificate."""
    other = ec.generate_private_key(ec.SECP256R1())
    signer.refused(signer.with_certificate(key=other.public_key()), "evidence_signature")


def test_a_signature_of_other_bytes(signer: Signer) -> None:
    items = cbor.decode(signer.document())
    other = cbor.decode(signer.document(nonce=b"another"))
    assert isinstance(items, list) and isinstance(other, list)
    signer.refused(cbor.encode([*items[:3], other[3]]), "evidence_signature")
    for signature in (bytes(64), b"\xff" * 64, bytes(63) + b"\x01"):
        signer.refused(cbor.encode([*items[:3], signature]), "evidence_signature")


def test_a_signature_without_our_external_data(signer: Signer) -> None:
    """What the identity key signs elsewhere is no evidence."""
    payload = signer.payload().encode()
    bare = cbor.encode(["Signature1", pkcs11.PROTECTED, b"", payload])
    r, s = utils.decode_dss_signature(signer.key.sign(bare, ec.ECDSA(hashes.SHA256())))
    signer.refused(pkcs11.assemble(payload, r.to_bytes(32, "big") + s.to_bytes(32, "big")), "evidence_signature")


def test_dates(signer: Signer) -> None:
    end = int((START + 365 * DAY).timestamp())
    signer.verify(signer.document(timestamp=end), at=end)
    signer.refused(signer.document(), "evidence_expired", at=end + 1)
    signer.refused(signer.document(timestamp=end + 1), "evidence_expired", at=end + 1)
    begin = int(START.timestamp())
    signer.verify(signer.document(timestamp=begin), at=begin)
    signer.refused(signer.document(timestamp=begin - 1), "evidence_expired", at=begin)
    early = signer.document()
    signer.verify(early, at=NOW - pkcs11.SKEW)
    signer.refused(early, "evidence_expired", at=NOW - pkcs11.SKEW - 1)


def test_an_authority_that_has_ended() -> None:
    signer = Signer(Authority("operator hsms", issuer=Authority(), days=30))
    at = int((START + 31 * DAY).timestamp())
    signer.refused(signer.document(timestamp=at - 2 * 86400), "evidence_expired", at=at)


def _wrong_leaves() -> dict[str, dict[str, Any]]:
    no_usage = (LEAF[0],)
    return {
        "an authority": {"extensions": (AUTHORITY[0], LEAF[1])},
        "may sign certificates": {"extensions": (LEAF[0], (usage(sign=True, issue=True), True))},
        "may not sign": {"extensions": (LEAF[0], (usage(sign=False, issue=False), True))},
        "no key usage": {"extensions": no_usage},
        "unknown and critical": {
            "extensions": (*LEAF, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True))
        },
    }


@pytest.mark.parametrize("how", _wrong_leaves().values(), ids=_wrong_leaves().keys())
def test_a_leaf_that_is_for_something_else(signer: Signer, how: dict[str, Any]) -> None:
    signer.refused(signer.with_certificate(**how), "evidence_chain")


def test_a_leaf_without_basic_constraints_is_a_leaf(signer: Signer) -> None:
    signer.verify(signer.with_certificate(extensions=(LEAF[1],)))


def test_an_issuer_that_is_no_authority() -> None:
    for extensions in (LEAF, (AUTHORITY[0],), (AUTHORITY[1],), ((AUTHORITY[0][0], False), AUTHORITY[1])):
        signer = Signer(Authority("operator hsms", issuer=Authority(), extensions=extensions))
        signer.refused(signer.document(), "evidence_chain")


def test_a_path_that_is_longer_than_its_authority_allows() -> None:
    narrow: tuple[tuple[x509.ExtensionType, bool], ...] = (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        AUTHORITY[1],
    )
    signer = Signer(Authority("operator hsms", issuer=Authority(extensions=narrow)))
    signer.refused(signer.document(), "evidence_chain")


def test_a_chain_in_another_order_or_with_guests(signer: Signer) -> None:
    between, root = signer.payload().chain
    guest = der(Authority("guest").certificate)
    signer.refused(signer.document(chain=(between, between, root)), "evidence_chain")
    signer.refused(signer.document(chain=(guest, between, root)), "evidence_chain")
    signer.refused(signer.document(chain=(root, between, root)), "evidence_chain")
    signer.refused(signer.document(chain=(root,)), "evidence_chain")


def test_an_issuer_of_the_same_name_with_another_key(signer: Signer) -> None:
    impostor = Signer(Authority("operator hsms", issuer=Authority()))
    root = signer.payload().chain[-1]
    signer.refused(impostor.document(chain=(impostor.payload().chain[0], root)), "evidence_chain")


def test_names(signer: Signer) -> None:
    signer.refused(signer.document(name="hsm-b"), "evidence_chain")
    signer.refused(signer.with_certificate(name="hsm-b"), "evidence_chain")
    signer.refused(signer.with_certificate(name=x509.Name([])), "evidence_chain")
    both = x509.Name([*common("hsm-a"), *common("hsm-b")])
    signer.refused(signer.with_certificate(name=both), "evidence_chain")


def test_a_name_may_stand_beside_an_organisation(signer: Signer) -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Custodian"), *common("hsm-a")])
    assert signer.verify(signer.with_certificate(name=name)).subject == "hsm-a"


# --- anything at all ---


@functools.cache
def _document(signer: Signer) -> bytes:
    """ECDSA is random, and a mutation should be repeatable."""
    return signer.document()


def _only_refusals(signer: Signer, document: bytes, at: int = NOW) -> None:
    with pytest.raises(Refusal):
        signer.verify(document, at)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_every_changed_byte_is_refused(signer: Signer, data: st.DataObject) -> None:
    document = bytearray(_document(signer))
    where = data.draw(st.integers(0, len(document) - 1))
    document[where] ^= data.draw(st.integers(1, 255))
    _only_refusals(signer, bytes(document))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_every_cut_and_every_tail_is_refused(signer: Signer, data: st.DataObject) -> None:
    document = _document(signer)
    cut = data.draw(st.integers(0, len(document) - 1))
    _only_refusals(signer, document[:cut])
    _only_refusals(signer, document + data.draw(st.binary(min_size=1, max_size=8)))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_certificates_changed_by_whoever_holds_the_key(signer: Signer, data: st.DataObject) -> None:
    """Signed after the change: what the path alone must refuse. What its issuer signed stays as it was."""
    chain = list(signer.payload().chain)
    names = ["certificate", "chain"]
    certificate = bytearray(signer.payload().certificate)
    between = bytearray(chain[0])
    changed = certificate if data.draw(st.sampled_from(names)) == "certificate" else between
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        signer.verify(signer.document(certificate=bytes(certificate), chain=(bytes(between), chain[1])))
    except Refusal:
        return
    # The count of unused bits in a signature's BIT STRING is read by nobody where those bits are zero.
    assert _signed_part(bytes(certificate)) == _signed_part(signer.payload().certificate)
    assert _signed_part(bytes(between)) == _signed_part(chain[0])


def _signed_part(certificate: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate).tbs_certificate_bytes


@settings(max_examples=300, deadline=None)
@given(document=st.binary(max_size=200))
def test_random_bytes(signer: Signer, document: bytes) -> None:
    _only_refusals(signer, document)


_TREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.binary(max_size=8) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_value_in_any_field(signer: Signer, data: st.DataObject) -> None:
    names = [each.name for each in dataclasses.fields(Payload)]
    name, value = data.draw(st.sampled_from(names)), data.draw(_TREE)
    document = _fields(signer, lambda fields: fields.update({name: value}))
    try:
        signer.verify(document)
    except Refusal:
        return
    assert name in ("nonce", "user_data", "public_key")


@settings(max_examples=100, deadline=None)
@given(shift=st.integers(-20 * 365, 20 * 365))
def test_any_time(signer: Signer, shift: int) -> None:
    at = int((START + timedelta(days=shift)).timestamp())
    try:
        statement = signer.verify(_document(signer), at)
    except Refusal as refusal:
        assert refusal.code == "evidence_expired"
    else:
        assert at <= statement.expires and 1 <= shift <= 365
