"""The few PKCS#11 calls that python-pkcs11 0.10 cannot make safely, made through the library's own function list.

- C_Initialize: python-pkcs11 passes NULL, "one thread only"; SoftHSM then drops its mutexes and eight threads crash it
  within seconds. Here it is CKF_OS_LOCKING_OK. C_Finalize and a second C_Initialize bring back a token that left.
- C_Login: python-pkcs11 takes the PIN as `str`, which cannot be wiped, and forgets the session whose login failed.
- AES-GCM: python-pkcs11 returns the plaintext as `bytes`, which cannot be wiped, and hides the initialisation vector
  that CloudHSM writes back into the caller's buffer.

Sources: PKCS#11 v2.40 base (C_Initialize 5.4, C_Login 5.6), current mechanisms 2.11.3 (CK_GCM_PARAMS).
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from pkcs11 import _pkcs11

ULONG = ctypes.c_ulong

CKF_OS_LOCKING_OK: Final = 2
CKU_USER: Final = 1
CKM_AES_GCM: Final = 0x1087
TAG_BYTES: Final = 16

USER_STATES: Final = (1, 3)
"""CKS_RO_USER_FUNCTIONS, CKS_RW_USER_FUNCTIONS: the states of a session whose user is logged in."""

CODES: Final[dict[int, str]] = {
    0x005: "CKR_GENERAL_ERROR",
    0x006: "CKR_FUNCTION_FAILED",
    0x020: "CKR_DATA_INVALID",
    0x021: "CKR_DATA_LEN_RANGE",
    0x030: "CKR_DEVICE_ERROR",
    0x031: "CKR_DEVICE_MEMORY",
    0x032: "CKR_DEVICE_REMOVED",
    0x035: "CKR_AEAD_DECRYPT_FAILED",
    0x040: "CKR_ENCRYPTED_DATA_INVALID",
    0x041: "CKR_ENCRYPTED_DATA_LEN_RANGE",
    0x060: "CKR_KEY_HANDLE_INVALID",
    0x068: "CKR_KEY_FUNCTION_NOT_PERMITTED",
    0x070: "CKR_MECHANISM_INVALID",
    0x071: "CKR_MECHANISM_PARAM_INVALID",
    0x082: "CKR_OBJECT_HANDLE_INVALID",
    0x090: "CKR_OPERATION_ACTIVE",
    0x0A0: "CKR_PIN_INCORRECT",
    0x0A1: "CKR_PIN_INVALID",
    0x0A2: "CKR_PIN_LEN_RANGE",
    0x0A3: "CKR_PIN_EXPIRED",
    0x0A4: "CKR_PIN_LOCKED",
    0x0B0: "CKR_SESSION_CLOSED",
    0x0B3: "CKR_SESSION_HANDLE_INVALID",
    0x0E0: "CKR_TOKEN_NOT_PRESENT",
    0x0E1: "CKR_TOKEN_NOT_RECOGNIZED",
    0x100: "CKR_USER_ALREADY_LOGGED_IN",
    0x101: "CKR_USER_NOT_LOGGED_IN",
    0x102: "CKR_USER_PIN_NOT_INITIALIZED",
    0x104: "CKR_USER_ANOTHER_ALREADY_LOGGED_IN",
    0x190: "CKR_CRYPTOKI_NOT_INITIALIZED",
    0x191: "CKR_CRYPTOKI_ALREADY_INITIALIZED",
}

PIN_REFUSED: Final = frozenset({0x0A0, 0x0A1, 0x0A2, 0x0A3, 0x0A4, 0x102})
"""Answers to C_Login after which the same PIN must not be sent again: HSMs lock after a few, some erase themselves."""

USER_ALREADY_LOGGED_IN: Final = 0x100
NOT_INITIALIZED: Final = 0x190
ALREADY_INITIALIZED: Final = 0x191

# The order of the members of CK_FUNCTION_LIST (v2.40), after the version.
_FUNCTIONS: Final = {
    "C_Initialize": 0,
    "C_Finalize": 1,
    "C_CloseAllSessions": 14,
    "C_GetSessionInfo": 15,
    "C_Login": 18,
    "C_EncryptInit": 29,
    "C_Encrypt": 30,
    "C_DecryptInit": 33,
    "C_Decrypt": 34,
}
_FUNCTION_COUNT: Final = 68


class CryptokiError(Exception):
    """A call that did not return CKR_OK."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call}: {CODES.get(code, hex(code))}")
        self.call = call
        self.code = code


class _Version(ctypes.Structure):
    _fields_ = (("major", ctypes.c_ubyte), ("minor", ctypes.c_ubyte))


class _FunctionList(ctypes.Structure):
    _fields_ = (("version", _Version), ("functions", ctypes.c_void_p * _FUNCTION_COUNT))


class _InitializeArgs(ctypes.Structure):
    _fields_ = (
        ("CreateMutex", ctypes.c_void_p),
        ("DestroyMutex", ctypes.c_void_p),
        ("LockMutex", ctypes.c_void_p),
        ("UnlockMutex", ctypes.c_void_p),
        ("flags", ULONG),
        ("pReserved", ctypes.c_void_p),
    )


class _SessionInfo(ctypes.Structure):
    _fields_ = (("slot", ULONG), ("state", ULONG), ("flags", ULONG), ("device_error", ULONG))


class _Mechanism(ctypes.Structure):
    _fields_ = (("mechanism", ULONG), ("parameter", ctypes.c_void_p), ("parameter_length", ULONG))


class _GcmParams(ctypes.Structure):
    _fields_ = (
        ("iv", ctypes.c_void_p),
        ("iv_length", ULONG),
        ("iv_bits", ULONG),
        ("aad", ctypes.c_void_p),
        ("aad_length", ULONG),
        ("tag_bits", ULONG),
    )


class _Library(_pkcs11.lib):
    """python-pkcs11 without its C_Initialize(NULL); `Cryptoki` has initialised before it is made."""

    def initialize(self) -> None:
        return


class Cryptoki:
    """One PKCS#11 library, loaded and initialised for threads. One at a time in a process.

    Nothing here takes a lock: `strongroom_hsm.token` does.
    """

    def __init__(self, path: str) -> None:
        """Raises OSError where the library cannot be loaded, CryptokiError where it does not initialise."""
        self._dll = ctypes.CDLL(path)
        pointer = ctypes.POINTER(_FunctionList)()
        code = self._dll.C_GetFunctionList(ctypes.byref(pointer))
        if code:
            raise CryptokiError("C_GetFunctionList", code)
        prototype = ctypes.CFUNCTYPE(ULONG)  # no argtypes: every argument below is a ctypes value
        self._calls: dict[str, Any] = {
            name: prototype(pointer.contents.functions[index]) for name, index in _FUNCTIONS.items()
        }
        self.initialize()
        try:
            self.library = _Library(path)
        except BaseException:
            self.finalize()
            raise

    def initialize(self) -> None:
        arguments = _InitializeArgs(flags=CKF_OS_LOCKING_OK)
        self._call("C_Initialize", ctypes.byref(arguments))

    def finalize(self) -> None:
        """Ends every session and login. The standard forbids it while another thread is inside any call."""
        try:
            self._call("C_Finalize", None)
        except CryptokiError as error:
            if error.code != NOT_INITIALIZED:
                raise

    def close_all_sessions(self, slot: int) -> None:
        self._call("C_CloseAllSessions", ULONG(slot))

    def session_state(self, session: int) -> int:
        info = _SessionInfo()
        self._call("C_GetSessionInfo", ULONG(session), ctypes.byref(info))
        return int(info.state)

    def login(self, session: int, pin: bytearray) -> None:
        """Sends the PIN once, from the caller's own memory."""
        buffer = (ctypes.c_char * len(pin)).from_buffer(pin)
        self._call("C_Login", ULONG(session), ULONG(CKU_USER), buffer, ULONG(len(pin)))

    def encrypt(self, session: int, key: int, plain: bytearray, aad: bytes, iv: bytes) -> tuple[bytes, bytes]:
        """AES-GCM: (the vector that was used, ciphertext ‖ tag). The token may write a vector of its own over `iv`."""
        vector = ctypes.create_string_buffer(iv, len(iv))
        mechanism, keep = _gcm(vector, aad)
        source = (ctypes.c_char * len(plain)).from_buffer(plain)
        sealed = ctypes.create_string_buffer(len(plain) + TAG_BYTES)
        length = ULONG(len(sealed))
        self._call("C_EncryptInit", ULONG(session), ctypes.byref(mechanism), ULONG(key))
        self._call("C_Encrypt", ULONG(session), source, ULONG(len(plain)), sealed, ctypes.byref(length))
        del keep
        return vector.raw, sealed.raw[: length.value]

    def decrypt(self, session: int, key: int, sealed: bytes, aad: bytes, iv: bytes) -> bytearray:
        """AES-GCM. The caller wipes what it gets; no other copy stays in this process outside the library."""
        mechanism, keep = _gcm(ctypes.create_string_buffer(iv, len(iv)), aad)
        plain = ctypes.create_string_buffer(len(sealed) + TAG_BYTES)
        length = ULONG(len(plain))
        try:
            self._call("C_DecryptInit", ULONG(session), ctypes.byref(mechanism), ULONG(key))
            source = ctypes.create_string_buffer(sealed, len(sealed))
            self._call("C_Decrypt", ULONG(session), source, ULONG(len(sealed)), plain, ctypes.byref(length))
            del keep
            return bytearray(memoryview(plain)[: length.value])
        finally:
            ctypes.memset(plain, 0, len(plain))

    def _call(self, name: str, *arguments: object) -> None:
        code = self._calls[name](*arguments)
        if code:
            raise CryptokiError(name, code)


def _gcm(vector: ctypes.Array[ctypes.c_char], aad: bytes) -> tuple[_Mechanism, tuple[object, ...]]:
    """The mechanism, and what must outlive it."""
    data = ctypes.create_string_buffer(aad, len(aad))
    parameters = _GcmParams(
        iv=ctypes.addressof(vector),
        iv_length=len(vector),
        iv_bits=8 * len(vector),
        aad=ctypes.addressof(data),
        aad_length=len(data),
        tag_bits=8 * TAG_BYTES,
    )
    mechanism = _Mechanism(CKM_AES_GCM, ctypes.addressof(parameters), ctypes.sizeof(parameters))
    return mechanism, (vector, data, parameters)


def handle(of: Any) -> int:
    """The handle of a session or an object; python-pkcs11's types leave a session's out."""
    return int(of.handle)


def wipe(secret: bytearray) -> None:
    """Overwrites in place. Python may have copied what it was made from; nothing here does."""
    if secret:
        ctypes.memset((ctypes.c_char * len(secret)).from_buffer(secret), 0, len(secret))
