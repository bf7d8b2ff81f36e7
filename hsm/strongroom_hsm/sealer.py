"""The sealer seam beside an HSM: data keys wrapped by a non-extractable AES-256 key in the token.

wrapped = {"v": 1, "key": CKA_ID of the wrapping key, "iv"[12], "sealed"[48]}, AES-256-GCM with a tag of 16 bytes and
AAD = CBOR ["strongroom/pkcs11-wrap/v1", key, context]. The context names signer, wallet, epoch and kind of record, so a
blob of another one does not open.

The vector is 12 random bytes (NIST SP 800-38D 8.2.2: at most 2^32 under one key; a signer makes one per wallet and
epoch), unless the token makes its own: CloudHSM wants a buffer of zeros and writes the vector into it. Which of the two
is found out by asking for it once, over 32 zeros; no data key is ever sealed under a vector of zeros.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from strongroom.errors import Refusal
from strongroom.signer.seams import Context, DataKey
from strongroom.wire import cbor
from strongroom.wire.fields import Fields
from strongroom_hsm.cryptoki import TAG_BYTES, CryptokiError, handle, wipe
from strongroom_hsm.faults import TokenFault, lost
from strongroom_hsm.keys import Keys
from strongroom_hsm.token import Live, Token

DOMAIN: Final = "strongroom/pkcs11-wrap/v1"
SELF_TEST: Final = "strongroom/pkcs11-self-test/v1"
KEY_BYTES: Final = 32
IV_BYTES: Final = 12
NO_IV: Final = bytes(IV_BYTES)
MAX_KEY_ID: Final = 64


class Pkcs11Sealer:
    def __init__(self, token: Token[Keys]) -> None:
        self._token = token
        self._token_makes_iv: bool | None = None

    def new_key(self, context: Context) -> tuple[DataKey, bytes]:
        """A fresh data key, and it wrapped. Raises Refusal `sealer_refused`, `token_unavailable`, `pin_incorrect`."""
        try:
            return self._token.run(lambda live: self._new_key(live, context))
        except TokenFault as fault:
            raise Refusal("sealer_refused", f"the token did not wrap a key: {fault}") from fault

    def open_key(self, wrapped: bytes, context: Context) -> DataKey:
        """Raises Refusal `sealed_mismatch`, `token_unavailable`, `pin_incorrect`."""
        parsed = Wrapped.decode(wrapped)
        try:
            return self._token.run(lambda live: _unwrap(live, parsed, context))
        except TokenFault as fault:
            raise self._blame(fault) from fault

    def _blame(self, fault: TokenFault) -> Refusal:
        """A wrong tag is CKR_GENERAL_ERROR in SoftHSM, as is much else: so blame the blob only where the key works."""
        if fault.may_be_the_input:
            try:
                self._token.run(lambda live: _self_test(live, self._iv(live)))
                return Refusal(
                    "sealed_mismatch", f"the token does not open it ({fault}): another signer's, wallet's, or changed"
                )
            except TokenFault as worse:
                fault = worse
        return Refusal("token_unavailable", f"the token does not decrypt: {fault}")

    def _new_key(self, live: Live[Keys], context: Context) -> tuple[DataKey, bytes]:
        key = DataKey.generate()
        raw = key.expose()
        try:
            used, sealed = live.cryptoki.encrypt(
                handle(live.session), handle(live.keys.kek), raw, _aad(live.keys.kek_id, context), self._iv(live)
            )
        finally:
            wipe(raw)
        if used == NO_IV:
            # Ciphertext under a vector of zeros is thrown away: a second one would give both away.
            raise Refusal("sealer_refused", "the token makes its own vectors, and made none this time")
        if len(sealed) != KEY_BYTES + TAG_BYTES:
            raise Refusal("sealer_refused", f"the token wrapped {KEY_BYTES} bytes into {len(sealed)}")
        return key, Wrapped(live.keys.kek_id, used, sealed).encode()

    def _iv(self, live: Live[Keys]) -> bytes:
        if self._token_makes_iv is None:
            self._token_makes_iv = _makes_iv(live)
        return NO_IV if self._token_makes_iv else os.urandom(IV_BYTES)


@dataclass(frozen=True)
class Wrapped:
    """key: CKA_ID of the wrapping key."""

    key: bytes
    iv: bytes
    sealed: bytes

    def encode(self) -> bytes:
        return cbor.encode({"v": 1, "key": self.key, "iv": self.iv, "sealed": self.sealed})

    @classmethod
    def decode(cls, raw: bytes) -> Wrapped:
        """Raises Refusal `sealed_mismatch`."""
        try:
            fields = Fields.decode(raw, "wrapped key")
            fields.version()
            wrapped = cls(
                fields.blob("key", most=MAX_KEY_ID),
                fields.blob("iv", size=IV_BYTES),
                fields.blob("sealed", size=KEY_BYTES + TAG_BYTES),
            )
            fields.end()
        except Refusal as refusal:
            raise Refusal("sealed_mismatch", f"not a key that a token wrapped: {refusal.reason}") from refusal
        return wrapped


def _unwrap(live: Live[Keys], wrapped: Wrapped, context: Context) -> DataKey:
    if wrapped.key != live.keys.kek_id:
        raise Refusal(
            "sealed_mismatch",
            f"wrapped under key {wrapped.key.hex()[:16]}, this token's is {live.keys.kek_id.hex()[:16]}",
        )
    raw = live.cryptoki.decrypt(
        handle(live.session), handle(live.keys.kek), wrapped.sealed, _aad(wrapped.key, context), wrapped.iv
    )
    try:
        return DataKey.take(raw)
    finally:
        wipe(raw)


def _makes_iv(live: Live[Keys]) -> bool:
    """Whether the token writes a vector of its own over one of zeros."""
    aad = cbor.encode([SELF_TEST])
    try:
        used, _ = live.cryptoki.encrypt(handle(live.session), handle(live.keys.kek), bytearray(KEY_BYTES), aad, NO_IV)
    except CryptokiError as error:
        if lost(error):
            raise
        return False
    return used != NO_IV


def _self_test(live: Live[Keys], iv: bytes) -> None:
    """The wrapping key encrypts and decrypts; nothing of it is kept."""
    session, kek = handle(live.session), handle(live.keys.kek)
    aad = cbor.encode([SELF_TEST])
    used, sealed = live.cryptoki.encrypt(session, kek, bytearray(KEY_BYTES), aad, iv)
    live.cryptoki.decrypt(session, kek, sealed, aad, used)


def _aad(key: bytes, context: Context) -> bytes:
    return cbor.encode([DOMAIN, key, dict(context)])
