"""Wrapped keys: they open for the same token and context, and for no other; what the token's vector is."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom_hsm.backends import Backends
from strongroom_hsm.cryptoki import CODES, Cryptoki, CryptokiError, _GcmParams
from strongroom_hsm.faults import LOST
from strongroom_hsm.sealer import Pkcs11Sealer, Wrapped
from tests.hsm.places import Place

CONTEXT = {"signer": "hsm-a", "wallet": "00" * 32, "epoch": "1", "kind": "share"}


def refused(sealer: Pkcs11Sealer, wrapped: bytes, context: dict[str, str] | None = None) -> str:
    with pytest.raises(Refusal) as caught:
        sealer.open_key(wrapped, context or CONTEXT)
    assert caught.value.code == "sealed_mismatch", caught.value
    return caught.value.reason


def test_a_key_comes_back(backends: Backends) -> None:
    key, wrapped = backends.sealer.new_key(CONTEXT)
    assert len(key.expose()) == 32
    assert backends.sealer.open_key(wrapped, dict(reversed(CONTEXT.items()))).expose() == key.expose()
    assert bytes(key.expose()) not in wrapped


def test_a_restart_keeps_it(place: Place) -> None:
    first = place.open()
    key, wrapped = first.sealer.new_key(CONTEXT)
    first.token.close()
    second = place.open()
    assert second.sealer.open_key(wrapped, CONTEXT).expose() == key.expose()


def test_each_is_another_key_under_another_vector(backends: Backends) -> None:
    made = [backends.sealer.new_key(CONTEXT) for _ in range(20)]
    assert len({bytes(key.expose()) for key, _ in made}) == 20
    assert len({Wrapped.decode(wrapped).iv for _, wrapped in made}) == 20


@pytest.mark.parametrize("field", CONTEXT)
def test_another_signer_wallet_epoch_or_kind(backends: Backends, field: str) -> None:
    _, wrapped = backends.sealer.new_key(CONTEXT)
    refused(backends.sealer, wrapped, CONTEXT | {field: "other"})
    refused(backends.sealer, wrapped, {name: value for name, value in CONTEXT.items() if name != field})


def test_another_token(backends: Backends, make_place: Callable[[str], Place]) -> None:
    _, wrapped = backends.sealer.new_key(CONTEXT)
    backends.token.close()
    other = make_place("hsm-a").open()
    assert "under key" in refused(other.sealer, wrapped)
    # Whoever rewrites the key's name meets another key.
    _, own = other.sealer.new_key(CONTEXT)
    parsed = Wrapped.decode(wrapped)
    refused(other.sealer, Wrapped(Wrapped.decode(own).key, parsed.iv, parsed.sealed).encode())


def test_every_changed_byte(backends: Backends) -> None:
    """SoftHSM answers CKR_GENERAL_ERROR to a bad tag; the session is alive, so the blob is at fault."""
    _, wrapped = backends.sealer.new_key(CONTEXT)
    for where in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[where] ^= 0x01
        refused(backends.sealer, bytes(changed))
    assert backends.degraded() is None
    backends.sealer.open_key(wrapped, CONTEXT)


@pytest.mark.parametrize(
    "wrapped", [b"", b"\xff", cbor.encode({}), cbor.encode({"v": 2, "key": b"", "iv": bytes(12), "sealed": bytes(48)})]
)
def test_what_no_token_wrapped(backends: Backends, wrapped: bytes) -> None:
    refused(backends.sealer, wrapped)


def test_the_exposed_key_is_wiped(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytearray] = []
    encrypt, decrypt = Cryptoki.encrypt, Cryptoki.decrypt

    def watch_encrypt(
        self: Cryptoki, session: int, key: int, plain: bytearray, aad: bytes, iv: bytes
    ) -> tuple[bytes, bytes]:
        assert any(plain)
        seen.append(plain)
        return encrypt(self, session, key, plain, aad, iv)

    def watch_decrypt(self: Cryptoki, session: int, key: int, sealed: bytes, aad: bytes, iv: bytes) -> bytearray:
        seen.append(plain := decrypt(self, session, key, sealed, aad, iv))
        assert any(plain)
        return plain

    backends.sealer.new_key(CONTEXT)
    monkeypatch.setattr(Cryptoki, "encrypt", watch_encrypt)
    monkeypatch.setattr(Cryptoki, "decrypt", watch_decrypt)
    _, wrapped = backends.sealer.new_key(CONTEXT)
    backends.sealer.open_key(wrapped, CONTEXT)
    assert seen == [bytearray(32), bytearray(32)]


# --- whom an error blames ---


def answer(monkeypatch: pytest.MonkeyPatch, call: str, code: int, times: int) -> list[str]:
    """The library answers `code` to the next `times` of `call`; gives every call that it was asked."""
    asked: list[str] = []
    real = Cryptoki._call

    def fail(self: Cryptoki, name: str, *arguments: object) -> None:
        asked.append(name)
        fails = name == call and asked.count(name) <= times
        if not (fails and name.endswith("Init")):
            real(self, name, *arguments)
        if fails:
            raise CryptokiError(name, code)

    monkeypatch.setattr(Cryptoki, "_call", fail)
    return asked


@pytest.mark.parametrize("code", [0x005, 0x006, 0x035, 0x040], ids=CODES.get)
def test_a_bad_tag_under_each_of_its_names(backends: Backends, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    _, wrapped = backends.sealer.new_key(CONTEXT)
    asked = answer(monkeypatch, "C_Decrypt", code, 1)
    assert CODES[code] in refused(backends.sealer, wrapped)
    assert asked.count("C_Decrypt") == 2, "the key itself was not tried"
    assert backends.degraded() is None


def test_a_key_that_opens_nothing_blames_no_blob(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    _, wrapped = backends.sealer.new_key(CONTEXT)
    answer(monkeypatch, "C_Decrypt", 0x005, 99)
    with pytest.raises(Refusal, match="token_unavailable: the token does not decrypt"):
        backends.sealer.open_key(wrapped, CONTEXT)


@pytest.mark.parametrize("code", [0x070, 0x80000007])
def test_what_is_said_before_the_tag_is_looked_at_blames_no_blob(
    backends: Backends, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    _, wrapped = backends.sealer.new_key(CONTEXT)
    answer(monkeypatch, "C_DecryptInit", code, 99)
    with pytest.raises(Refusal, match="token_unavailable"):
        backends.sealer.open_key(wrapped, CONTEXT)


@pytest.mark.parametrize("code", sorted(LOST), ids=CODES.get)
def test_a_device_that_stumbles_is_asked_again(backends: Backends, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """CKR_DEVICE_REMOVED and the like, from a session that looks alive: opened anew, within the call."""
    key, wrapped = backends.sealer.new_key(CONTEXT)
    answer(monkeypatch, "C_Decrypt", code, 1)
    assert backends.sealer.open_key(wrapped, CONTEXT).expose() == key.expose()
    assert backends.degraded() is None


@pytest.mark.parametrize("code", [0x030, 0x032, 0x0E0], ids=CODES.get)
def test_a_device_that_is_gone(backends: Backends, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    _, wrapped = backends.sealer.new_key(CONTEXT)
    answer(monkeypatch, "C_Decrypt", code, 99)
    with pytest.raises(Refusal, match=f"token_unavailable: .*{CODES[code]}"):
        backends.sealer.open_key(wrapped, CONTEXT)
    assert CODES[code] in (backends.degraded() or "")


def test_a_token_that_does_not_wrap(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "C_EncryptInit", 0x068, 99)
    with pytest.raises(Refusal, match=r"sealer_refused: .*CKR_KEY_FUNCTION_NOT_PERMITTED"):
        backends.sealer.new_key(CONTEXT)


# --- who makes the vector ---


@pytest.fixture
def cloudhsm(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Takes zeros alone, and what is in the caller's buffer afterwards is the vector that was used."""
    made: list[bytes] = []
    real = Cryptoki.encrypt

    def encrypt(self: Cryptoki, session: int, key: int, plain: bytearray, aad: bytes, iv: bytes) -> tuple[bytes, bytes]:
        if any(iv):
            raise CryptokiError("C_EncryptInit", 0x071)
        made.append(f"the iv {len(made):05}".encode())
        return real(self, session, key, plain, aad, made[-1])

    monkeypatch.setattr(Cryptoki, "encrypt", encrypt)
    return made


def test_a_token_that_writes_its_own_vector(backends: Backends, cloudhsm: list[bytes]) -> None:
    for _ in range(3):
        key, wrapped = backends.sealer.new_key(CONTEXT)
        assert Wrapped.decode(wrapped).iv == cloudhsm[-1]
        assert backends.sealer.open_key(wrapped, CONTEXT).expose() == key.expose()
    refused(backends.sealer, wrapped, CONTEXT | {"signer": "other"})
    assert len(set(cloudhsm)) == 5, "asked once whether it makes them, then for three keys and a test of the key"


def test_a_token_that_stops_making_them(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros are never a vector: SoftHSM would take them, and any other vector, again and again."""
    monkeypatch.setattr(backends.sealer, "_token_makes_iv", True)
    with pytest.raises(Refusal, match="sealer_refused: the token makes its own vectors"):
        backends.sealer.new_key(CONTEXT)


def test_softhsm_makes_none(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bytes] = []
    real = Cryptoki.encrypt

    def watch(self: Cryptoki, session: int, key: int, plain: bytearray, aad: bytes, iv: bytes) -> tuple[bytes, bytes]:
        given.append(iv)
        if not any(iv):
            assert not any(plain), "a key under a vector of zeros"
        return real(self, session, key, plain, aad, iv)

    monkeypatch.setattr(Cryptoki, "encrypt", watch)
    for _ in range(3):
        backends.sealer.new_key(CONTEXT)
    assert given[0] == bytes(12) and len(set(given)) == 4


def test_a_vector_written_over_ours_is_taken(backends: Backends, monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffer that the library gets is read back after the call, byte for byte."""
    call = Cryptoki._call

    def overwrite(self: Cryptoki, name: str, *arguments: object) -> None:
        if name == "C_EncryptInit":
            _write_vector(arguments[1], b"\xaa" * 12)
        call(self, name, *arguments)

    monkeypatch.setattr(Cryptoki, "_call", overwrite)
    key, wrapped = backends.sealer.new_key(CONTEXT)
    assert Wrapped.decode(wrapped).iv == b"\xaa" * 12
    assert backends.sealer.open_key(wrapped, CONTEXT).expose() == key.expose()


def _write_vector(mechanism: object, vector: bytes) -> None:
    parameters = _GcmParams.from_address(mechanism._obj.parameter)  # type: ignore[attr-defined]
    ctypes.memmove(parameters.iv, vector, len(vector))
