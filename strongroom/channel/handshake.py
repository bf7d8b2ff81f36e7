"""The handshake of docs/specification.md section 8: SIGMA's shape, with attestation documents in place of signatures.

    A: open -> M1      B: answer(M1) -> M2      A: prove(M2) -> M3      B: accept(M3) -> M4      A: finish(M4)

Each step takes what the one before it left and gives the next; nothing is kept in between but what is returned.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.channel.session import Channel
from strongroom.errors import Refusal
from strongroom.evidence import nitro
from strongroom.evidence.statement import Statement
from strongroom.wallet.members import References, boot_key, verify_member
from strongroom.wire import cbor
from strongroom.wire.fields import Fields

SUITE = "x25519-sha256-aes256gcm"
LIFETIME = 3 * 3600
"""Seconds: a channel never outlives the leaf certificate of a Nitro document, which lives as long."""

Attest = Callable[[bytes, bytes], bytes]
"""(nonce, user_data) to a fresh document that carries the boot key."""


@dataclass(frozen=True)
class Setting:
    """Who speaks with whom, about which order. order: what its members must measure by now. boot: this process's random
    identifier, 16 bytes. apart: whether two enclaves must be on two instances."""

    order: References
    order_id: bytes
    epoch: int
    name: str
    peer: str
    boot: bytes
    apart: bool = True

    def __post_init__(self) -> None:
        self.order.member(self.peer)
        if self.name == self.peer:
            raise Refusal("channel_handshake", "a signer has no channel to itself", verdict="link")


@dataclass(frozen=True)
class Core:
    """What each side says of itself; both together are the transcript."""

    raw: bytes
    nonce: bytes
    ephemeral: bytes
    boot: bytes


def _core(setting: Setting, nonce: bytes, ephemeral: bytes) -> Core:
    raw = cbor.encode(
        {
            "v": 1,
            "mode": setting.order.mode,
            "suite": SUITE,
            "order": setting.order_id,
            "epoch": setting.epoch,
            "from": setting.name,
            "to": setting.peer,
            "nonce": nonce,
            "ephemeral": ephemeral,
            "boot": setting.boot,
        }
    )
    return Core(raw, nonce, ephemeral, setting.boot)


def _read_core(raw: bytes, setting: Setting) -> Core:
    """The peer's core: every field that this side knows must be equal."""
    fields = Fields.decode(raw, "handshake")
    fields.version()
    said = (fields.text("mode"), fields.text("suite"), fields.blob("order", size=32), fields.integer("epoch"))
    names = (fields.text("from"), fields.text("to"))
    core = Core(raw, fields.blob("nonce", size=32), fields.blob("ephemeral", size=32), fields.blob("boot", size=16))
    fields.end()
    if said != (setting.order.mode, SUITE, setting.order_id, setting.epoch):
        raise _refused("the peer speaks of another mode, suite, order or epoch")
    if names != (setting.peer, setting.name):
        raise _refused("the message is not from this peer to this signer")
    return core


def _refused(reason: str) -> Refusal:
    return Refusal("channel_handshake", reason, verdict="link")


@dataclass(frozen=True)
class Opened:
    """A's secret between M1 and M2."""

    setting: Setting
    secret: X25519PrivateKey
    core: Core


@dataclass(frozen=True, repr=False)
class Keys:
    """What both sides derive; `own` and `other` say whose half of the confirmations it is. Secret: it has no repr."""

    transcript: bytes
    send: bytes
    receive: bytes
    confirm_own: bytes
    confirm_other: bytes

    def confirmation(self, key: bytes, evidence: tuple[bytes, bytes]) -> bytes:
        """evidence: of A, then of B."""
        digests = b"".join(hashlib.sha256(document).digest() for document in evidence)
        return hmac.digest(key, self.transcript + digests, "sha256")


@dataclass(frozen=True)
class Answered:
    """B between M2 and M3. evidence: its own."""

    setting: Setting
    core: Core
    keys: Keys
    evidence: bytes


@dataclass(frozen=True)
class Proven:
    """A between M3 and M4. expected: B's confirmation, which covers both documents."""

    setting: Setting
    keys: Keys
    statement: Statement
    expected: bytes


def open_handshake(setting: Setting, random: Callable[[int], bytes]) -> tuple[Opened, bytes]:
    secret = X25519PrivateKey.from_private_bytes(random(32))
    core = _core(setting, random(32), secret.public_key().public_bytes_raw())
    return Opened(setting, secret, core), core.raw


def answer(setting: Setting, message: bytes, random: Callable[[int], bytes], attest: Attest) -> tuple[Answered, bytes]:
    peer = _read_core(message, setting)
    secret = X25519PrivateKey.from_private_bytes(random(32))
    core = _core(setting, random(32), secret.public_key().public_bytes_raw())
    keys = _derive(secret, peer, core, opener=False)
    evidence = attest(peer.nonce, _user_data(1, keys.transcript))
    return Answered(setting, core, keys, evidence), cbor.encode({"core": core.raw, "evidence": evidence})


def prove(opened: Opened, message: bytes, attest: Attest, now: int) -> tuple[Proven, bytes]:
    fields = Fields.decode(message, "handshake")
    raw, evidence = fields.blob("core", most=1024), fields.blob("evidence", most=1 << 15)
    fields.end()
    setting, core = opened.setting, opened.core
    peer = _read_core(raw, setting)
    keys = _derive(opened.secret, core, peer, opener=True)
    statement = _verify(setting, evidence, core.nonce, _user_data(1, keys.transcript), now)
    own = attest(peer.nonce, _user_data(0, keys.transcript))
    _require_apart(setting, own, statement)
    confirm = keys.confirmation(keys.confirm_own, (own, evidence))
    expected = keys.confirmation(keys.confirm_other, (own, evidence))
    return Proven(setting, keys, statement, expected), cbor.encode({"evidence": own, "confirm": confirm})


def accept(half: Answered, message: bytes, now: int) -> tuple[Channel, bytes]:
    fields = Fields.decode(message, "handshake")
    evidence, confirm = fields.blob("evidence", most=1 << 15), fields.blob("confirm", size=32)
    fields.end()
    keys = half.keys
    statement = _verify(half.setting, evidence, half.core.nonce, _user_data(0, keys.transcript), now)
    _require_apart(half.setting, half.evidence, statement)
    documents = (evidence, half.evidence)
    if not hmac.compare_digest(confirm, keys.confirmation(keys.confirm_other, documents)):
        raise _refused("the peer's confirmation is wrong")
    own = keys.confirmation(keys.confirm_own, documents)
    # The opener learns only with M4 that the channel stands: until it has used it, answers go over the old one.
    channel = _channel(half.setting, keys, statement, now, proven=False)
    return channel, cbor.encode({"confirm": own})


def finish(proven: Proven, message: bytes, now: int) -> Channel:
    fields = Fields.decode(message, "handshake")
    confirm = fields.blob("confirm", size=32)
    fields.end()
    if not hmac.compare_digest(confirm, proven.expected):
        raise _refused("the peer's confirmation is wrong")
    return _channel(proven.setting, proven.keys, proven.statement, now, proven=True)


def _channel(setting: Setting, keys: Keys, statement: Statement, now: int, *, proven: bool) -> Channel:
    identifier = hashlib.sha256(b"strongroom/channel-id/v1" + keys.transcript).digest()[:16]
    expires = min(statement.expires, now + LIFETIME)
    return Channel(identifier, setting.peer, boot_key(statement), keys.send, keys.receive, expires, proven)


def _verify(setting: Setting, document: bytes, nonce: bytes, user_data: bytes, now: int) -> Statement:
    return verify_member(setting.order, setting.peer, document, nonce=nonce, user_data=user_data, at=now)


def _require_apart(setting: Setting, own: bytes, peer: Statement) -> None:
    """Whoever gets at one instance must not reach two shares. No roster has to pin instances for that."""
    both_enclaves = setting.order.member(setting.name).root == setting.order.member(setting.peer).root == "nitro"
    if not (setting.apart and both_enclaves):
        return
    if nitro.unverified_registers(own).get("pcr4") == peer.measurements.get("pcr4"):
        raise Refusal("evidence_measurement", f"{setting.peer} is on this signer's own instance: PCR4 is the same")


def _user_data(role: int, transcript: bytes) -> bytes:
    return hashlib.sha256(b"strongroom/channel-evidence/v1" + bytes((role,)) + transcript).digest()


def _derive(secret: X25519PrivateKey, opener_core: Core, answerer_core: Core, *, opener: bool) -> Keys:
    other = answerer_core if opener else opener_core
    if opener_core.ephemeral == answerer_core.ephemeral or opener_core.boot == answerer_core.boot:
        raise _refused("the peer's ephemeral key or boot is one's own")
    try:
        # Raises for an all-zero result, RFC 7748 section 6.1.
        shared = secret.exchange(X25519PublicKey.from_public_bytes(other.ephemeral))
    except ValueError:
        raise _refused("the peer's ephemeral key is of small order") from None
    first, second = opener_core.raw, answerer_core.raw
    framed = len(first).to_bytes(4, "big") + first + len(second).to_bytes(4, "big") + second
    transcript = hashlib.sha256(b"strongroom/channel/v1" + framed).digest()
    okm = HKDF(hashes.SHA256(), 128, transcript, b"strongroom/channel-keys/v1").derive(shared)
    a_to_b, b_to_a, confirm_a, confirm_b = (okm[start : start + 32] for start in range(0, 128, 32))
    if opener:
        return Keys(transcript, a_to_b, b_to_a, confirm_a, confirm_b)
    return Keys(transcript, b_to_a, a_to_b, confirm_b, confirm_a)
