"""The attester seam beside an HSM: documents signed by the identity key in the token.

The format is in docs/specification.md; `strongroom.evidence.pkcs11` encodes, and verifies.
"""

from __future__ import annotations

import hashlib

from strongroom.errors import Refusal
from strongroom.evidence import pkcs11
from strongroom.evidence.statement import Root, TrustRoot
from strongroom.signer.configuration import Configuration
from strongroom.signer.seams import Clock
from strongroom_hsm.faults import TokenFault
from strongroom_hsm.identity import Certified
from strongroom_hsm.keys import Keys, sign
from strongroom_hsm.token import Live, Token


class Pkcs11Attester:
    def __init__(self, token: Token[Keys], certified: Certified, configuration: Configuration, clock: Clock) -> None:
        self._token = token
        self._certified = certified
        self._configuration = configuration
        self._clock = clock

    @property
    def root(self) -> Root:
        return "pkcs11"

    def attest(self, *, nonce: bytes, user_data: bytes, public_key: bytes) -> bytes:
        """A fresh document. Raises Refusal `malformed_message`, `token_unavailable`, `pin_incorrect`."""
        for name, value in (("nonce", nonce), ("user_data", user_data), ("public_key", public_key)):
            if len(value) > pkcs11.MAX_BINDING:
                raise Refusal("malformed_message", f"{name} has more than {pkcs11.MAX_BINDING} bytes")
        try:
            return self._token.run(lambda live: self._document(live, nonce, user_data, public_key))
        except TokenFault as fault:
            raise Refusal("token_unavailable", f"the token did not sign: {fault}") from fault

    def check(self) -> None:
        """Attests once and verifies as a peer would. Raises Refusal `bad_configuration` with the peer's reason."""
        document = self.attest(nonce=b"", user_data=b"", public_key=b"")
        root = TrustRoot("pkcs11", self._configuration.mode, hashlib.sha256(self._certified.chain[-1]).digest())
        try:
            pkcs11.verify(document, root=root, at=self._clock.now())
        except Refusal as refusal:
            raise Refusal("bad_configuration", f"no peer would accept this identity: {refusal}") from refusal

    def _document(self, live: Live[Keys], nonce: bytes, user_data: bytes, public_key: bytes) -> bytes:
        payload = pkcs11.Payload(
            mode=self._configuration.mode,
            name=self._configuration.name,
            nonce=nonce,
            user_data=user_data,
            public_key=public_key,
            timestamp=self._clock.now(),
            configuration=self._configuration.digest(),
            certificate=self._certified.certificate,
            chain=self._certified.chain,
            token=live.description,
        ).encode()
        return pkcs11.assemble(payload, sign(live, pkcs11.signed_bytes(payload)))
