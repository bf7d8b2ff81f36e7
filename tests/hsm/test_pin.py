"""The PIN: where it may come from, that it is sent once, and that it shows up nowhere."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from pkcs11 import TokenFlag

from strongroom.errors import Refusal
from strongroom_hsm import slots
from strongroom_hsm.backends import pin_source
from strongroom_hsm.cryptoki import Cryptoki, CryptokiError
from strongroom_hsm.keys import Keys
from strongroom_hsm.pin import DescriptorPin, FilePin
from strongroom_hsm.token import Token
from tests.hsm.authority import Authority
from tests.hsm.places import PIN, Place, init_token


def reveal(pin: FilePin | DescriptorPin) -> bytes:
    with pin.reveal() as secret:
        return bytes(secret)


def refused(pin: FilePin | DescriptorPin) -> str:
    with pytest.raises(Refusal) as caught:
        reveal(pin)
    assert caught.value.code == "bad_configuration"
    return caught.value.reason


# --- the file ---


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pin"
    path.touch(mode=0o600)
    path.write_bytes(b"1234 5678\n")
    return path


def test_one_line_feed_is_not_part_of_it(file: Path) -> None:
    assert reveal(FilePin(file)) == b"1234 5678"
    file.write_bytes(b"1234\n\n")
    assert reveal(FilePin(file)) == b"1234\n"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o700, 0o777])
def test_a_file_that_others_may_read(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert f"{mode:04o}" in refused(FilePin(file))


def test_a_file_that_only_we_may_read(file: Path) -> None:
    file.chmod(0o400)
    assert reveal(FilePin(file)) == b"1234 5678"


def test_a_file_that_is_none(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (link, pipe, tmp_path, tmp_path / "absent"):
        refused(FilePin(path))


@pytest.mark.skipif(os.geteuid() == 0 or not Path("/etc/shadow").exists(), reason="root owns every file")
def test_a_file_of_another_user() -> None:
    refused(FilePin(Path("/etc/hostname")))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_given_to_another_user(file: Path) -> None:
    os.chown(file, 12345, -1)
    assert "another user" in refused(FilePin(file))


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 256, b"x" * 300], ids=["empty", "line", "long", "longer"])
def test_a_file_without_a_pin(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    refused(FilePin(file))


def test_it_is_wiped_after_use(file: Path) -> None:
    with FilePin(file).reveal() as secret:
        assert secret == b"1234 5678"
    assert secret == bytes(9)


# --- the descriptor ---


def test_a_descriptor_is_read_once_and_closed() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"12")
    os.write(writing, b"34\n")
    os.close(writing)
    pin = DescriptorPin(reading)
    assert reveal(pin) == reveal(pin) == b"1234"
    with pytest.raises(OSError):
        os.fstat(reading)
    pin.forget()
    assert "wiped" in refused(pin)


def test_a_descriptor_that_is_not_open() -> None:
    with pytest.raises(Refusal, match="bad_configuration"):
        DescriptorPin(987)


def test_exactly_one_source(file: Path) -> None:
    assert isinstance(pin_source(file, None), FilePin)
    for both in ((None, None), (file, 3)):
        with pytest.raises(Refusal, match="bad_configuration"):
            pin_source(*both)


def test_a_token_opens_with_a_descriptor(place: Place) -> None:
    reading, writing = os.pipe()
    os.write(writing, PIN.encode())
    os.close(writing)
    place.token(DescriptorPin(reading)).open()


# --- a wrong one ---


def logins(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    sent: list[bytes] = []
    login = Cryptoki.login

    def count(self: Cryptoki, session: int, pin: bytearray) -> None:
        sent.append(bytes(pin))
        login(self, session, pin)

    monkeypatch.setattr(Cryptoki, "login", count)
    return sent


def flags(token: Token[Keys]) -> TokenFlag:
    assert token._cryptoki is not None
    return TokenFlag(token._cryptoki.library.get_token(token_label=token._address.label).flags)


def test_a_wrong_pin_is_sent_once(own_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    own_place.write_pin("not the pin")
    sent = logins(monkeypatch)
    token = own_place.token()
    for _ in range(5):
        with pytest.raises(Refusal) as caught:
            token.open()
        assert caught.value.code == "pin_incorrect"
        assert not caught.value.retryable
        assert "CKR_PIN_INCORRECT" in caught.value.reason
        assert "locked out until restart" in caught.value.reason
        assert "locked out until restart" in (token.probe() or "")
    # Not even when the file is corrected: what was refused stays refused, until somebody looks and restarts.
    own_place.write_pin(PIN)
    with pytest.raises(Refusal, match="pin_incorrect"):
        token.open()
    assert sent == [b"not the pin"]
    assert flags(token) & TokenFlag.USER_PIN_COUNT_LOW


def test_a_right_pin_after_a_restart(own_place: Place) -> None:
    own_place.write_pin("not the pin")
    token = own_place.token()
    with pytest.raises(Refusal, match="pin_incorrect"):
        token.open()
    token.close()
    own_place.write_pin(PIN)
    again = own_place.token()
    again.open()
    assert not flags(again) & TokenFlag.USER_PIN_COUNT_LOW


def test_a_wrong_pin_leaks_no_session(own_place: Place) -> None:
    """python-pkcs11's `open(user_pin=...)` forgets the session whose login failed, for good."""
    own_place.write_pin("not the pin")
    token = own_place.token()
    with pytest.raises(Refusal, match="pin_incorrect"):
        token.open()
    assert token._cryptoki is not None
    for handle in range(1, 9):
        with pytest.raises(CryptokiError, match="CKR_SESSION_HANDLE_INVALID"):
            token._cryptoki.session_state(handle)


def test_a_pin_that_is_gone_at_recovery_is_no_wrong_pin(own_place: Place) -> None:
    token = own_place.token()
    token.open()
    own_place.pin_file.unlink()
    assert token._cryptoki is not None
    token._cryptoki._dll.C_Finalize(None)
    assert "cannot be opened" in (token.probe() or "")
    with pytest.raises(Refusal, match=r"token_unavailable: .*cannot be opened"):
        token.open()
    own_place.write_pin(PIN)
    token._next_attempt = 0
    assert token.probe() is None


@pytest.mark.parametrize("flag", [TokenFlag.USER_PIN_FINAL_TRY, TokenFlag.USER_PIN_LOCKED])
def test_the_last_try_is_not_ours(place: Place, monkeypatch: pytest.MonkeyPatch, flag: TokenFlag) -> None:
    """A supervisor that restarts us for ever would lock the token, and some erase themselves."""
    sent = logins(monkeypatch)
    token = place.token()
    find = slots.find

    class Marked:
        def __init__(self, slotted: object) -> None:
            self._slotted = slotted
            self.flags = slotted.flags | flag  # type: ignore[attr-defined]

        def __getattr__(self, name: str) -> object:
            return getattr(self._slotted, name)

    monkeypatch.setattr("strongroom_hsm.token.find", lambda *how: Marked(find(*how)))
    with pytest.raises(Refusal, match="pin_incorrect"):
        token.open()
    assert sent == []


# --- where it shows ---

_SIGNER = """
import sys
from pathlib import Path
from tests.hsm.places import Place
backends = Place(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])).open()
key, wrapped = backends.sealer.new_key({"signer": "hsm-a"})
backends.sealer.open_key(wrapped, {"signer": "hsm-a"})
backends.attester.attest(nonce=b"", user_data=b"", public_key=b"")
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_running_signer_shows_it_nowhere(softhsm: Path, authority: Authority) -> None:
    """Not in its environment, not in its arguments, and between logins not in its memory."""
    pin = secrets.token_hex(16)
    place = init_token(softhsm, "searched", pin=pin)
    authority.certify(place.provision().request, place.folder)
    process = subprocess.Popen(
        [sys.executable, "-c", _SIGNER, place.label, place.store, place.folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        own = Path(f"/proc/{process.pid}")
        assert pin.encode() not in (own / "environ").read_bytes() + (own / "cmdline").read_bytes()
        assert _holders(own, pin.encode()) == []
        # The search finds what is there.
        assert _holders(own, place.label.encode()) != []


def _holders(process: Path, secret: bytes) -> list[str]:
    found = []
    with (process / "mem").open("rb", buffering=0) as memory:
        for line in (process / "maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            start, end = (int(each, 16) for each in span.split("-"))
            memory.seek(start)
            if secret in memory.read(end - start):
                found.append(line)
    return found


def test_it_is_in_no_repr_and_no_error(own_place: Place) -> None:
    own_place.write_pin("wrong-" + PIN)
    token = own_place.token()
    with pytest.raises(Refusal) as caught:
        token.open()
    shown = "".join(traceback.format_exception(caught.value)) + repr(token) + repr(token._pin) + repr(token.__dict__)
    assert PIN not in shown
    reading, writing = os.pipe()
    os.write(writing, PIN.encode())
    os.close(writing)
    pin = DescriptorPin(reading)
    assert PIN not in repr(pin) + str(pin)
