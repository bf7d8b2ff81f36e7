"""Makes an approver's entry for a policy file: of a key file, or of a passkey that has just signed once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from strongroom.approval import Approver, Key, Passkey, webauthn
from strongroom.approval.approver import Kind
from strongroom.errors import Refusal
from strongroom_client.approving import keys, page
from strongroom_client.approving.server import Done, Page, origin

RP: Final = "localhost"


@dataclass(frozen=True)
class Entry:
    """What officers decide of an approver; its key comes from the approver."""

    name: str
    groups: Sequence[str]
    weight: int = 1
    kind: Kind = "person"
    requests_as: Sequence[bytes] = ()

    def with_key(self, key: Key, passkey: Passkey | None = None) -> Approver:
        groups, own = tuple(sorted(set(self.groups))), tuple(sorted(set(self.requests_as)))
        return Approver(self.name, self.kind, groups, self.weight, key, passkey, own)


def document(approver: Approver) -> dict[str, Any]:
    """As a policy file has it under `approvers`."""
    passkey = approver.passkey
    return {
        "name": approver.name,
        "kind": approver.kind,
        "groups": list(approver.groups),
        "weight": approver.weight,
        "key": {"algorithm": approver.key.algorithm, "public": approver.key.public.hex()},
        "passkey": None
        if passkey is None
        else {"rp": passkey.rp, "origins": list(passkey.origins), "credential": passkey.credential.hex()},
        "requests_as": [key.hex() for key in approver.requests_as],
    }


def passkey_page(entry: Entry, port: int) -> Page[Approver]:
    """The page on which the passkey is made. What it answers is believed only as far as its first signature shows."""
    challenge = secrets.token_bytes(32)

    def answer(said: Mapping[str, Any]) -> Done[Approver]:
        approver = entry.with_key(_key(said), Passkey(RP, (origin(port),), keys.unbase64(said.get("credential"))))
        if approver.passkey is not None:
            webauthn.verify(keys.assertion(said), approver.key, approver.passkey, challenge, approver.name)
        return Done(
            approver, f"{approver.name} is ready to be enrolled", "The command shows the entry; close this page."
        )

    # A handle that says nothing of the person (WebAuthn section 14.6.1), new so that no passkey replaces another.
    return Page(page.enrolment(entry.name, RP, secrets.token_bytes(16), challenge), "enrol.js", answer)


def _key(said: Mapping[str, Any]) -> Key:
    """Out of SubjectPublicKeyInfo, as browsers give it whatever the authenticator said."""
    try:
        return keys.registered(load_der_public_key(keys.unbase64(said.get("public"))))
    except (ValueError, UnsupportedAlgorithm):
        raise Refusal("bad_approver", "the browser gave no public key that can be read") from None
