"""A simulated Nitro root in memory, so that an attack on evidence is one line of a test."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Final

from strongroom.evidence.statement import TrustRoot
from strongroom_simulator import pki
from strongroom_simulator.document import Document
from strongroom_simulator.pki import Chain, Identity

NOW: Final = 1_800_000_000
LIFE: Final = 3 * 3600
MODULE: Final = "i-0123456789abcdef0-enc0123456789abcdef"
PCRS: Final = {index: bytes((index + 1,)) * 48 for index in range(17)}


@dataclass(frozen=True)
class Bench:
    """root, and a chain below it as at NOW."""

    root: Identity = field(default_factory=lambda: pki.root("simulated.nitro-enclaves"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "chain", pki.issue_chain(self.root, MODULE, NOW, LIFE))

    chain: Chain = field(init=False)

    @property
    def trust(self) -> TrustRoot:
        return TrustRoot("nitro", "simulated", self.root.fingerprint)

    def contents(self, **changes: Any) -> Document:
        honest = Document(
            module_id=MODULE,
            timestamp=NOW * 1000 + 250,
            pcrs=PCRS,
            certificate=self.chain.leaf.der,
            cabundle=self.chain.bundle,
            public_key=b"a public key",
            user_data=b"what it is bound to",
            nonce=b"the verifier's nonce",
        )
        return dataclasses.replace(honest, **changes)

    def document(self, **changes: Any) -> bytes:
        """Signed by the leaf, whatever was changed."""
        return self.contents(**changes).sign(self.chain.leaf.key)
