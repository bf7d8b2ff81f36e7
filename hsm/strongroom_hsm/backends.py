"""What a signer beside an HSM is handed: sealer, attester, clock and health, over one token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from strongroom.errors import Refusal
from strongroom.signer.configuration import Configuration
from strongroom.signer.seams import Clock
from strongroom_hsm.attester import Pkcs11Attester
from strongroom_hsm.clock import SystemClock
from strongroom_hsm.identity import Certified
from strongroom_hsm.keys import Keys, Labels
from strongroom_hsm.pin import DescriptorPin, FilePin, Pin
from strongroom_hsm.sealer import Pkcs11Sealer
from strongroom_hsm.slots import TokenAddress
from strongroom_hsm.token import Token


@dataclass(frozen=True)
class Backends:
    """One token behind each seam. The caller starts `token.watch`, and closes the token at its end."""

    token: Token[Keys]
    sealer: Pkcs11Sealer
    attester: Pkcs11Attester
    clock: Clock
    expires: int

    def degraded(self) -> str | None:
        """The health seam: None while the token works and the identity certificate is alive."""
        lost = self.token.degraded()
        if lost is None and self.clock.now() > self.expires:
            return "the identity certificate has expired: have the operator's CA certify the request again"
        return lost


def open_backends(
    address: TokenAddress,
    labels: Labels,
    pin: Pin,
    certified: Certified,
    configuration: Configuration,
    *,
    clock: Clock | None = None,
) -> Backends:
    """Logs in, checks both keys and the identity, and attests once as a peer would see it.

    Raises Refusal `bad_configuration`, `pin_incorrect`, `token_unavailable`.
    """
    if configuration.sealing.kind != "pkcs11" or configuration.sealing.key != labels.kek:
        raise Refusal("bad_configuration", "the configuration's sealing key is not this token's wrapping key")
    clock = clock or SystemClock()
    token = Token(address, pin, labels.load)
    attester = Pkcs11Attester(token, certified, configuration, clock)
    try:
        certified.check(token.run(lambda live: live.keys.public))
        attester.check()
    except BaseException:
        token.close()
        raise
    return Backends(token, Pkcs11Sealer(token), attester, clock, certified.expires)


def pin_source(file: Path | None, descriptor: int | None) -> Pin:
    """Exactly one of the two. Raises Refusal `bad_configuration`."""
    if file is not None and descriptor is None:
        return FilePin(file)
    if descriptor is not None and file is None:
        return DescriptorPin(descriptor)
    raise Refusal("bad_configuration", "the PIN comes from a file or from a file descriptor: name one of them")
