"""What an error of the token blames: the connection to it, the operation's input, or neither."""

from __future__ import annotations

from typing import Final

from pkcs11 import PKCS11Error
from pkcs11.exceptions import (
    DeviceError,
    DeviceMemory,
    DeviceRemoved,
    KeyHandleInvalid,
    ObjectHandleInvalid,
    OperationActive,
    SessionClosed,
    SessionHandleInvalid,
    TokenNotPresent,
    TokenNotRecognised,
    UserNotLoggedIn,
)

from strongroom_hsm.cryptoki import CryptokiError

LOST: Final = frozenset({0x030, 0x031, 0x032, 0x060, 0x082, 0x090, 0x0B0, 0x0B3, 0x0E0, 0x0E1, 0x101, 0x190})
"""Answers that blame device, session, login or handles, and never the operation's input: everything is opened anew."""

_LOST: Final = (
    DeviceError,
    DeviceMemory,
    DeviceRemoved,
    KeyHandleInvalid,
    ObjectHandleInvalid,
    OperationActive,
    SessionClosed,
    SessionHandleInvalid,
    TokenNotPresent,
    TokenNotRecognised,
    UserNotLoggedIn,
)
"""The same, as python-pkcs11 raises them."""

_INPUT_REFUSED: Final = frozenset({0x005, 0x006, 0x020, 0x021, 0x035, 0x040, 0x041})
"""Answers of C_Decrypt that a wrong tag gives: CKR_GENERAL_ERROR in SoftHSM, CKR_ENCRYPTED_DATA_INVALID in kryoptic."""


class TokenFault(Exception):
    """The token refused an operation although its session is alive. `error`: PKCS11Error or CryptokiError."""

    def __init__(self, error: Exception) -> None:
        super().__init__(tell(error))
        self.error = error

    @property
    def may_be_the_input(self) -> bool:
        error = self.error
        return isinstance(error, CryptokiError) and error.call == "C_Decrypt" and error.code in _INPUT_REFUSED


def lost(error: Exception) -> bool:
    """Sessions are to be opened anew, whatever else may be said of the token."""
    return isinstance(error, _LOST) or (isinstance(error, CryptokiError) and error.code in LOST)


def tell(error: Exception) -> str:
    """An error of the token in words; never holds anything but the names of calls and codes."""
    if isinstance(error, PKCS11Error):
        return f"{type(error).__name__} {error}".strip()
    return str(error)
