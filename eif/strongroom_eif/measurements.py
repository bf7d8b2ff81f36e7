"""What the Nitro hypervisor measures of an image, computed before it boots.

    PCR0  kernel ‖ command line ‖ all ramdisks
    PCR1  kernel ‖ command line ‖ the first ramdisk
    PCR2  the other ramdisks
    PCR8  DER of the signing certificate, where the image is signed

Each is SHA-384(0^48 ‖ SHA-384(what is measured)): a register of zeros, extended once. Metadata, memory and the number
of processors are not measured. PCR3 (the instance's role) and PCR4 (the instance) are not the image's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from strongroom_eif import signature
from strongroom_eif.image import Image

ZEROS = bytes(48)


def extended(*parts: bytes) -> bytes:
    inner = hashlib.sha384()
    for part in parts:
        inner.update(part)
    return hashlib.sha384(ZEROS + inner.digest()).digest()


def measure(image: Image) -> Mapping[str, bytes]:
    """By name as rosters have them: pcr0, pcr1, pcr2, and pcr8 of a signed image.

    Raises Refusal `bad_image` for a signature that is not one of this image's PCR0.
    """
    boot = (image.kernel, image.cmdline)
    found = {
        "pcr0": extended(*boot, *image.ramdisks),
        "pcr1": extended(*boot, image.ramdisks[0]),
        "pcr2": extended(*image.ramdisks[1:]),
    }
    if image.signature is not None:
        certificate = signature.verify(image.signature, found["pcr0"])
        found["pcr8"] = extended(signature.der(certificate))
    return found


def sign(image: Image, key: signature.Key, certificate: bytes) -> Image:
    """certificate: PEM of one certificate of this key. Raises Refusal `bad_file` where they do not belong together."""
    return image.signed(signature.sign(measure(image.unsigned())["pcr0"], key, certificate))
