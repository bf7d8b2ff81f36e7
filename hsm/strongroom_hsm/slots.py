"""Which of the library's tokens is ours, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pkcs11 import PKCS11Error
from pkcs11 import Token as Slotted

from strongroom.errors import Refusal
from strongroom.evidence.pkcs11 import TokenDescription
from strongroom_hsm.cryptoki import Cryptoki


@dataclass(frozen=True)
class TokenAddress:
    """module: the vendor's PKCS#11 library. serial: demanded where given; otherwise the first login pins it."""

    module: Path
    label: str
    serial: str | None = None


def find(cryptoki: Cryptoki, label: str, serial: str | None) -> Slotted:
    """Raises Refusal `token_unavailable`, or `bad_configuration` where more than one could be meant.

    python-pkcs11's own search ends at the first slot that is out of order, whosesoever it is.
    """
    found: list[Slotted] = []
    for slot in cryptoki.library.get_slots(token_present=True):
        try:
            token = slot.get_token()
        except (PKCS11Error, UnicodeDecodeError):
            continue
        if token.label == label and serial in (None, serial_of(token)):
            found.append(token)
    if len(found) > 1:
        raise Refusal("bad_configuration", f"several tokens are labelled {label!r}: give the serial")
    if not found:
        which = f"labelled {label!r}" + (f", serial {serial}" if serial else "")
        raise Refusal("token_unavailable", f"there is no token {which}")
    return found[0]


def serial_of(token: Slotted) -> str:
    return token.serial.decode(errors="replace").strip(" \0")


def describe(cryptoki: Cryptoki, token: Slotted) -> TokenDescription:
    library = cryptoki.library
    return TokenDescription(
        library=f"{library.manufacturer_id.strip()} {library.library_description.strip()}"[:64],
        library_version=_version(library.library_version),
        manufacturer=token.manufacturer_id.strip()[:64],
        model=token.model.strip()[:64],
        serial=serial_of(token)[:64],
        label=token.label[:64],
        hardware_version=_version(token.hardware_version),
        firmware_version=_version(token.firmware_version),
    )


def _version(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
