"""One login, and the way back after each of the losses: session, login, token, library."""

from __future__ import annotations

import ctypes
import dataclasses
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pkcs11 import Attribute

from strongroom.errors import Refusal
from strongroom_hsm import token as token_module
from strongroom_hsm.backends import Backends
from strongroom_hsm.cryptoki import ULONG, USER_STATES, Cryptoki, CryptokiError, _gcm, handle
from strongroom_hsm.keys import Keys
from strongroom_hsm.token import Live, Token, TokenAddress, TokenFault
from tests.hsm import places
from tests.hsm.places import Place, opened

CONTEXT = {"signer": "hsm-a"}


def works(backends: Backends) -> None:
    key, wrapped = backends.sealer.new_key(CONTEXT)
    assert backends.sealer.open_key(wrapped, CONTEXT).expose() == key.expose()
    backends.attester.attest(nonce=b"", user_data=b"", public_key=b"")
    assert backends.degraded() is None


def cryptoki(backends: Backends) -> Cryptoki:
    found = backends.token._cryptoki
    assert found is not None
    return found


# --- one login ---


def test_the_session_that_logged_in_does_nothing_else(backends: Backends) -> None:
    works(backends)
    login = backends.token._login
    assert login is not None
    used = backends.token.run(lambda live: handle(live.session))
    assert used != handle(login)


def test_closing_a_session_of_ours_logs_nobody_out(backends: Backends) -> None:
    """python-pkcs11's `close()` on the session that logged in logs the whole process out."""
    backends.token.run(lambda live: live.session.close())
    works(backends)


def test_private_objects_are_not_there_without_a_login(place: Place) -> None:
    token = place.token()
    token.open()
    assert token._cryptoki is not None
    found = token._cryptoki.library.get_token(token_label=place.label)
    assert token._login is not None
    assert token._cryptoki._dll.C_Logout(ULONG(handle(token._login))) == 0
    labels = [each[Attribute.LABEL] for each in found.open().get_objects()]
    # The public key alone: PRIVATE = false would also have stored the others in the clear.
    assert labels == ["identity"]


def test_one_token_owns_the_library(backends: Backends, make_place: Callable[[str], Place]) -> None:
    with pytest.raises(Refusal, match=r"bad_configuration: something else in this process"):
        Token(backends.token._address, backends.token._pin, backends.token._load).open()
    works(backends)


# --- lost, and back ---


def close_sessions(backends: Backends) -> None:
    slot = backends.token.run(lambda live: int(live.session.token.slot.slot_id))
    cryptoki(backends).close_all_sessions(slot)


def log_out(backends: Backends) -> None:
    assert backends.token._login is not None
    assert cryptoki(backends)._dll.C_Logout(ULONG(handle(backends.token._login))) == 0


def drop_login_session(backends: Backends) -> None:
    assert backends.token._login is not None
    backends.token._login.close()


def end_library(backends: Backends) -> None:
    cryptoki(backends).finalize()


def leave_an_operation_open(backends: Backends) -> None:
    backends.token.run(_start_decryption)


def _start_decryption(live: Live[Keys]) -> None:

    mechanism, _keep = _gcm(ctypes.create_string_buffer(12), b"aad")
    live.cryptoki._call(
        "C_DecryptInit", ULONG(handle(live.session)), ctypes.byref(mechanism), ULONG(handle(live.keys.kek))
    )


@pytest.mark.parametrize(
    "lose", [close_sessions, log_out, end_library, leave_an_operation_open], ids=lambda each: each.__name__
)
def test_what_is_lost_is_found_within_the_same_call(place: Place, lose: Callable[[Backends], None]) -> None:
    """CKR_SESSION_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN, CKR_CRYPTOKI_NOT_INITIALIZED, CKR_OPERATION_ACTIVE."""
    backends = place.open()
    for _ in range(2):
        lose(backends)
        backends.sealer.new_key(CONTEXT)
        lose(backends)
        backends.attester.attest(nonce=b"", user_data=b"", public_key=b"")
        assert backends.degraded() is None
    works(backends)


@pytest.mark.parametrize(
    "lose", [close_sessions, log_out, end_library, drop_login_session], ids=lambda each: each.__name__
)
def test_a_probe_finds_it(place: Place, lose: Callable[[Backends], None]) -> None:
    backends = place.open()
    for _ in range(3):
        lose(backends)
        assert backends.token.probe() is None
        assert backends.token._login is not None
        assert cryptoki(backends).session_state(handle(backends.token._login)) in USER_STATES
    works(backends)


@pytest.mark.parametrize("lose", [close_sessions, log_out, end_library], ids=lambda f: f.__name__)
def test_a_wrapped_key_is_never_blamed_for_a_lost_token(place: Place, lose: Callable[[Backends], None]) -> None:
    backends = place.open()
    key, wrapped = backends.sealer.new_key(CONTEXT)
    lose(backends)
    assert backends.sealer.open_key(wrapped, CONTEXT).expose() == key.expose()


@pytest.fixture
def away(own_place: Place, tmp_path: Path) -> Callable[[], Callable[[], None]]:
    """Pulls the token out; what it returns puts it back."""

    def pull() -> Callable[[], None]:
        elsewhere = tmp_path / "pulled"
        shutil.move(own_place.store, elsewhere)

        def back() -> None:
            shutil.move(elsewhere, own_place.store)

        return back

    return pull


def test_a_token_that_leaves_and_comes_back(own_place: Place, away: Callable[[], Callable[[], None]]) -> None:
    backends = own_place.open()
    key, wrapped = backends.sealer.new_key(CONTEXT)
    back = away()
    for use in (
        lambda: backends.sealer.new_key(CONTEXT),
        lambda: backends.sealer.open_key(wrapped, CONTEXT),
        lambda: backends.attester.attest(nonce=b"", user_data=b"", public_key=b""),
    ):
        with pytest.raises(Refusal) as caught:
            use()
        assert caught.value.code == "token_unavailable" and caught.value.retryable, caught.value
    assert own_place.label in (backends.degraded() or "")
    back()
    _wait(lambda: backends.token.probe() is None)
    assert backends.sealer.open_key(wrapped, CONTEXT).expose() == key.expose()
    works(backends)


def test_the_watch_notices_and_brings_it_back(own_place: Place, away: Callable[[], Callable[[], None]]) -> None:
    """With nobody asking: `degraded` alone is read, as a status request does."""
    backends = own_place.open()
    stop = threading.Event()
    thread = backends.token.watch(stop, interval=0.05)
    back = away()
    _wait(lambda: backends.degraded() is not None)
    back()
    _wait(lambda: backends.degraded() is None)
    works(backends)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_a_lost_token_is_not_asked_all_the_time(
    own_place: Place, away: Callable[[], Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    backends = own_place.open()
    starts: list[float] = []
    initialize = Cryptoki.initialize

    def count(self: Cryptoki) -> None:
        starts.append(time.monotonic())
        initialize(self)

    monkeypatch.setattr(Cryptoki, "initialize", count)
    back = away()
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        assert backends.token.probe()
    # At once, after half a second; the next would be a second later.
    assert len(starts) == 2
    back()


def test_no_pin_is_sent_while_the_token_is_away(
    own_place: Place, away: Callable[[], Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    backends = own_place.open()
    back = away()
    monkeypatch.setattr(Cryptoki, "login", lambda *_: pytest.fail("a login without a token"))
    assert backends.token.probe()
    back()


def test_a_pin_changed_while_the_token_was_away(own_place: Place, away: Callable[[], Callable[[], None]]) -> None:
    backends = own_place.open()
    back = away()
    assert backends.token.probe()
    own_place.write_pin("another pin")
    back()
    _wait(lambda: "locked out until restart" in (backends.token.probe() or ""))
    with pytest.raises(Refusal, match="pin_incorrect"):
        backends.sealer.new_key(CONTEXT)
    assert "locked out until restart" in (backends.degraded() or "")


def test_another_token_in_its_place(own_place: Place, softhsm: Path, away: Callable[[], Callable[[], None]]) -> None:
    """Same label, another serial: a host that swaps tokens gets no PIN of ours and no new keys."""
    backends = own_place.open()
    away()
    impostor = places.init_token(softhsm, f"{own_place.label}-x")
    _relabel(impostor, own_place.label)
    assert "serial" in (backends.token.probe() or "")


def _relabel(place: Place, label: str) -> None:
    """SoftHSM keeps the label in token.object, padded to 32 bytes."""
    file = place.store / "token.object"
    raw = file.read_bytes()
    assert raw.count(place.label.encode().ljust(32)) == 1
    file.write_bytes(raw.replace(place.label.encode().ljust(32), label.encode().ljust(32)))


# --- at the start ---


def test_a_token_that_is_not_there(place: Place) -> None:
    address = dataclasses.replace(place.address, label="no such token")
    token = opened(Token(address, place.pin, place.labels.load))
    with pytest.raises(Refusal, match=r"token_unavailable: .*there is no token labelled 'no such token'"):
        token.open()
    assert token.degraded()


def test_a_serial_is_demanded_where_given(place: Place) -> None:
    token = place.token()
    serial = token.run(lambda live: live.description.serial)
    token.close()
    opened(Token(dataclasses.replace(place.address, serial=serial), place.pin, place.labels.load)).open()
    places.close_all()
    with pytest.raises(Refusal, match="token_unavailable"):
        opened(Token(dataclasses.replace(place.address, serial="0" * 16), place.pin, place.labels.load)).open()


def test_two_tokens_of_one_label(softhsm: Path, make_place: Callable[[str], Place]) -> None:
    place = make_place("hsm-a")
    twin = places.init_token(softhsm, f"{place.label}-x")
    _relabel(twin, place.label)
    with pytest.raises(Refusal, match="bad_configuration: several tokens"):
        place.token().open()


def test_a_library_that_is_none(place: Place, tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("no library")
    for module in (text, tmp_path / "absent.so", Path("libc.so.6")):
        with pytest.raises(Refusal, match=r"bad_configuration: .* is not a PKCS#11 library"):
            Token(TokenAddress(module, place.label), place.pin, place.labels.load).open()


# --- callers ---


def test_a_token_that_hangs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everyone else is told within the limit, and `degraded` answers all the while."""
    monkeypatch.setattr(token_module, "PATIENCE", 0.1)
    token = place.token()
    entered, leave = threading.Event(), threading.Event()

    def hang(live: Live[Keys]) -> None:
        entered.set()
        leave.wait(10)

    thread = threading.Thread(target=lambda: token.run(hang))
    thread.start()
    assert entered.wait(10)
    with pytest.raises(Refusal, match="token_unavailable: the token has not answered"):
        token.open()
    assert "not answered" in (token.probe() or "")
    assert "not answered" in (token.degraded() or "")
    leave.set()
    thread.join()
    token.open()
    assert token.degraded() is None


def test_a_token_that_was_closed(place: Place) -> None:
    """Not even the watch, in the middle of a look, logs in again."""
    token = place.token()
    token.open()
    token.close()
    token.close()
    assert token.probe() == token.degraded() == "the token was closed"
    with pytest.raises(Refusal, match="token_unavailable: the token was closed"):
        token.open()


def test_a_fault_of_the_operation_alone(place: Place) -> None:
    token = place.token()

    def ask_nonsense(live: Live[Keys]) -> object:
        return live.keys.kek[Attribute.EC_POINT]

    with pytest.raises(TokenFault, match="AttributeTypeInvalid"):
        token.run(ask_nonsense)
    assert token.degraded() is None


def test_errors_have_names() -> None:
    assert str(CryptokiError("C_Login", 0x0A0)) == "C_Login: CKR_PIN_INCORRECT"
    assert str(CryptokiError("C_Login", 0x80000001)) == "C_Login: 0x80000001"


def _wait(condition: Callable[[], bool], limit: float = 15) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
