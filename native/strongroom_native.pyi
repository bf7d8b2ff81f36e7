"""Published threshold-signature crates behind one ceremony seam.

Python relays bytes and knows no mathematics. Every protocol is a `Ceremony`: `start` and `receive` give the next
messages, the result, or raise `NativeError` with its culprits. Parties are numbered 1..n as in the roster.
"""

from collections.abc import Sequence
from typing import Any, Literal, final

_Verdict = Literal["proof", "accusation", "unattributed"]

class NativeError(Exception):
    """A refusal or a fault; never carries secret material.

    code: stable, one of the table in `src/error.rs`.
        A message: `malformed_message`, `oversized_message`, `foreign_message` (of another session, round or addressee).
        The set of messages: `unexpected_sender`, `unexpected_message`, `duplicate_message`, `missing_message`.
        A cheat: `bad_share`, `bad_proof` (a proof, or the opening of a commitment), `ot_check_failed`.
        Nobody's: `aborted`. This process: `not_paired`, `wrong_process`, `no_randomness`, `panic`.
        The caller's: `misuse`, `seal_mismatch`.
    verdict: who could believe it. `proof`: anyone can check it. `accusation`: only the accuser can know.
        `unattributed`: nobody is named. `None` for a caller's own mistake.
    culprits: party numbers, sorted, without duplicates; empty unless proof or accusation. `not_paired` lists the
        missing peers here, without a verdict.
    """

    code: str
    reason: str
    verdict: _Verdict | None
    culprits: tuple[int, ...]

@final
class Step:
    """What a ceremony wants next."""

    @property
    def outgoing(self) -> list[tuple[int, bytes]]:
        """(recipient, payload); recipient 0 is a broadcast to every other participant."""
    @property
    def done(self) -> bool:
        """True when `Ceremony.result` can be taken."""

@final
class DataKey:
    """A 32-byte AES-256-GCM key that seals shares; zeroized on drop."""

    @staticmethod
    def generate() -> DataKey: ...
    @staticmethod
    def take(raw: bytearray) -> DataKey:
        """Copies 32 bytes and overwrites `raw` with zeros. Raises NativeError `misuse` on another length."""
    def expose(self) -> bytearray:
        """For wrapping by an HSM only; the caller must wipe it."""

@final
class KeyShare:
    """One party's share of one key. Opaque; zeroized on drop; has no repr that shows more than public data."""

    @property
    def suite(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def threshold(self) -> int: ...
    @property
    def parties(self) -> int: ...
    @property
    def public_key(self) -> bytes:
        """secp256k1 suites: 33 bytes compressed SEC1 (for BIP-340 suites too: the untweaked key); Ed25519: 32 bytes."""
    @property
    def verification_shares(self) -> list[bytes]:
        """By party number, 1 first; same encoding as `public_key`."""
    @property
    def chain_code(self) -> bytes | None:
        """32 bytes for suites with BIP-32 derivation, otherwise None."""
    def public_package(self) -> bytes:
        """What `combine` needs and anyone may know."""
    def check(self) -> None:
        """Raises NativeError `seal_mismatch` unless the secret share matches its verification share and public key."""
    def seal(self, key: DataKey, aad: bytes) -> bytes:
        """AES-256-GCM, fresh random nonce; version byte first. Never contains OT state or nonces."""
    @staticmethod
    def unseal(blob: bytes, key: DataKey, aad: bytes) -> KeyShare:
        """Raises NativeError `seal_mismatch` on a wrong key, other AAD, or changed bytes."""
    def paired(self) -> list[int]:
        """Parties with which pairwise (OT) state is set up in this process; all others where the suite has none."""
    def unpair(self, peer: int) -> None:
        """Destroys the pairwise state with `peer` at once; signings in flight that rest on it end with `not_paired`."""
    def pairing_digest(self, peer: int) -> bytes | None:
        """SHA-256 over the set-up's public parts: equal at both ends, new after every set-up; None if not paired."""

@final
class Ceremony:
    @property
    def kind(self) -> Literal["dkg", "pair", "sign"]: ...
    @property
    def suite(self) -> str: ...
    @property
    def round(self) -> int:
        """The round whose messages were sent last; 0 before `start`."""
    def start(self) -> Step: ...
    def receive(self, messages: Sequence[tuple[int, bool, bytes]]) -> Step:
        """Feed one whole round: (sender, is_broadcast, payload) of every other participant, in any order.

        The set must be exactly what the protocol expects (each sender, each kind, once). A failed call ends the
        ceremony; every later call raises `misuse`. Releases the GIL while it computes.
        """
    def result(self) -> KeyShare | bytes | None:
        """Once, when done. dkg: the KeyShare (already paired, in memory, with everybody). pair: None.
        sign: this party's public last-round contribution, input to `combine`."""

def dkg(suite: str, session: bytes, index: int, threshold: int, parties: int) -> Ceremony:
    """2 <= threshold <= parties <= 9; session: 32 bytes. musig2 wants threshold == parties."""

def pair(share: KeyShare, session: bytes, peer: int) -> Ceremony:
    """Sets up pairwise state afresh. On success replaces what was there; on a failed check the pair stays unpaired."""

def sign(
    share: KeyShare,
    session: bytes,
    signers: Sequence[int],
    message: bytes,
    tweak: bytes | None = None,
    path: Sequence[int] = ...,
) -> Ceremony:
    """signers: exactly `threshold` distinct party numbers, this one among them. ECDSA: message is the 32-byte digest;
    MuSig2: 32 bytes too. tweak (BIP-340 suites): None signs under the bare key, b"" under the BIP-341 key-path-only
    output key, 32 bytes: script root. path (suites with a chain code): at most 5 BIP-32 steps below 2^31 to the key
    that signs, whose share is derived in here and wiped with the ceremony."""

def combine(
    suite: str,
    public_package: bytes,
    session: bytes,
    message: bytes,
    contributions: Sequence[tuple[int, bytes]],
    tweak: bytes | None = None,
    path: Sequence[int] = ...,
) -> bytes:
    """The one ordinary signature, verified. ECDSA: r || s || recovery id (65 bytes, low s). Others: 64 bytes.
    Raises NativeError `bad_share` with verdict `proof` and culprits where the protocol proves one."""

def verify(suite: str, public_key: bytes, message: bytes, signature: bytes, tweak: bytes | None = None) -> bool:
    """ECDSA wants what `combine` gives: 65 bytes, low s, the recovery id that recovers `public_key`."""

def output_key(public_key: bytes, tweak: bytes) -> bytes:
    """BIP-341 x-only output key (32 bytes) of a BIP-340 wallet."""

def suites() -> list[dict[str, Any]]:
    """Each {"suite", "curve", "library", "version", "auditor" ("none" where unaudited), "randomness", "pairwise",
    "taproot" (signs under a BIP-341 output key), "all_sign" (n of n), "rounds" (rounds of messages by kind of ceremony;
    a signer's contribution comes on top)}."""

def keccak256(data: bytes) -> bytes: ...
def harden_process() -> None:
    """Marks the process non-dumpable and sets RLIMIT_CORE to 0 (Linux)."""
