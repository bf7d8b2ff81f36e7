"""Owns the PKCS#11 library of this process, the one login, and the way back after a lost token.

One lock is held around every call, and the library is still initialised with CKF_OS_LOCKING_OK. The lock, because
recovery may have to call C_Finalize, which the standard forbids beside any other call; because a session does one
operation at a time; and because sealing and attesting happen per wallet and per handshake, not per signature, so that
there is nothing to gain from running them side by side. The flag, because the process has threads, python-pkcs11's
destructors may call in from any of them, and NULL would tell the library otherwise.

The session that logs in does nothing else and stays open: a login ends with it. Work happens in a second session,
opened without a PIN, which may be thrown away.

| state      | what happened                                     | way out                                        |
|------------|---------------------------------------------------|------------------------------------------------|
| ready      |                                                   |                                                |
| degraded   | session, login or token lost                      | found and logged in again, at the next use     |
| locked out | the token refused the PIN, or is about to lock it | a restart: a PIN is never sent twice once wrong |
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from pkcs11 import PKCS11Error, Session, TokenFlag
from pkcs11 import Token as Slotted

from strongroom.errors import Refusal
from strongroom.evidence.pkcs11 import TokenDescription
from strongroom_hsm import templates
from strongroom_hsm.cryptoki import (
    ALREADY_INITIALIZED,
    PIN_REFUSED,
    USER_ALREADY_LOGGED_IN,
    USER_STATES,
    Cryptoki,
    CryptokiError,
    handle,
)
from strongroom_hsm.faults import TokenFault as TokenFault
from strongroom_hsm.faults import lost, tell
from strongroom_hsm.pin import Pin
from strongroom_hsm.slots import TokenAddress as TokenAddress
from strongroom_hsm.slots import describe, find, serial_of

_log = logging.getLogger(__name__)

K = TypeVar("K")
R = TypeVar("R")

PATIENCE: Final = 30.0
"""Seconds that a caller waits for the others before it is told that the token does not answer."""
FIRST_PAUSE: Final = 0.5
LAST_PAUSE: Final = 8.0
"""Seconds between attempts to bring a token back: doubled from the first to the last."""


@dataclass(frozen=True)
class Live(Generic[K]):
    """A logged-in token, for the length of one `Token.run`."""

    cryptoki: Cryptoki
    session: Session
    keys: K
    description: TokenDescription


class Token(Generic[K]):
    """load: finds what `run` works with, in a session that is logged in; called at each (re)connection.

    writable: for provisioning; signers open read-only sessions.
    """

    def __init__(
        self, address: TokenAddress, pin: Pin, load: Callable[[Session], K], *, writable: bool = False
    ) -> None:
        self._address = address
        self._pin = pin
        self._load = load
        self._writable = writable
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._cryptoki: Cryptoki | None = None
        self._login: Session | None = None
        self._live: Live[K] | None = None
        self._serial = address.serial
        self._opened = False
        self._closed = False
        self._locked_out: str | None = None
        self._stalled: str | None = None
        self._fault: str | None = "the token is not open yet"
        self._pause = FIRST_PAUSE
        self._next_attempt = 0.0

    def __repr__(self) -> str:
        return f"Token({self._address.label!r})"

    # --- what callers use ---

    def open(self) -> None:
        """Raises Refusal `bad_configuration`, `pin_incorrect`, `token_unavailable`."""
        self.run(lambda live: None)

    def run(self, work: Callable[[Live[K]], R]) -> R:
        """Runs `work` alone in the token. Where the token was lost, it is brought back and `work` runs once more.

        Raises Refusal `token_unavailable`, `pin_incorrect`, `wrong_process`; TokenFault where only `work` failed.
        """
        self._enter()
        try:
            for last in (False, True):
                live = self._ready()
                try:
                    return work(live)
                except (PKCS11Error, CryptokiError) as error:
                    if self._alive(live, error):
                        raise TokenFault(error) from error
                    self._lose(tell(error))
                    if last:
                        self._wait_longer()
                        raise self._unavailable() from error
            raise AssertionError("unreachable")
        finally:
            self._lock.release()

    def degraded(self) -> str | None:
        """None while the token works, otherwise a sentence. Takes no lock and calls no token."""
        return self._locked_out or self._stalled or self._fault

    def probe(self) -> str | None:
        """Looks whether the token is alive, and brings it back if it can. Returns what `degraded` does."""
        try:
            self._enter()
        except Refusal as refusal:
            return self.degraded() or refusal.reason
        try:
            if self._live is not None and not self._alive(self._live, None):
                self._lose("the token no longer shows the keys")
            self._ready()
        except Refusal:
            pass
        finally:
            self._lock.release()
        return self.degraded()

    def watch(self, stop: threading.Event, interval: float = 5.0) -> threading.Thread:
        """Probes every `interval` seconds in a thread of its own, until `stop` is set."""

        def look() -> None:
            while not stop.wait(interval):
                try:
                    self.probe()
                except Exception:
                    # Nobody else would start it again.
                    _log.exception("looking at the token failed")

        thread = threading.Thread(target=look, name="strongroom-hsm-watch", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Ends the login and gives the library back. A forked child leaves its parent's connection alone."""
        if os.getpid() != self._process:
            return
        if not self._lock.acquire(timeout=PATIENCE):
            return
        try:
            self._closed = True
            self._fault = "the token was closed"
            self._live = self._login = None
            cryptoki, self._cryptoki = self._cryptoki, None
            if cryptoki is not None:
                cryptoki.finalize()
        except CryptokiError as error:
            _log.warning("token %r: %s at the end", self._address.label, tell(error))
        finally:
            self._lock.release()

    # --- under the lock ---

    def _enter(self) -> None:
        # A forked child shares its parent's connection to the HSM and copies its locks: it may not even ask.
        if os.getpid() != self._process:
            raise Refusal("wrong_process", "the token was opened before a fork")
        if not self._lock.acquire(timeout=PATIENCE):
            self._stalled = f"the token has not answered for {PATIENCE:.0f} s"
            raise Refusal("token_unavailable", self._stalled)
        self._stalled = None
        if self._closed:
            self._lock.release()
            raise self._unavailable()

    def _ready(self) -> Live[K]:
        if self._locked_out is not None:
            raise Refusal("pin_incorrect", self._locked_out)
        if self._live is None:
            if time.monotonic() < self._next_attempt:
                raise self._unavailable()
            self._live = self._connect()
            if self._fault is not None:
                _log.info("token %r, serial %s: logged in", self._address.label, self._serial)
            self._fault = None
            self._pause = FIRST_PAUSE
        return self._live

    def _connect(self) -> Live[K]:
        """First with the library as it is, then from C_Initialize on: SoftHSM looks for tokens nowhere else."""
        for anew in (False, True) if self._opened else (False,):
            try:
                live = self._open_sessions(self._library(anew))
            except (PKCS11Error, CryptokiError) as error:
                self._lose(tell(error))
            except Refusal as refusal:
                # What was right at the start and is no more, is lost; what never was right, is a mistake.
                if refusal.code == "pin_incorrect" or not self._opened:
                    raise
                self._lose(refusal.reason)
            else:
                self._opened = True
                return live
        self._wait_longer()
        raise self._unavailable()

    def _wait_longer(self) -> None:
        self._next_attempt = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LAST_PAUSE)

    def _library(self, anew: bool) -> Cryptoki:
        if self._cryptoki is None:
            self._cryptoki = _load_library(self._address.module)
        elif anew:
            self._live = self._login = None
            self._cryptoki.finalize()
            self._cryptoki.initialize()
        return self._cryptoki

    def _open_sessions(self, cryptoki: Cryptoki) -> Live[K]:
        slotted = find(cryptoki, self._address.label, self._serial)
        if self._login is None or not _logged_in(cryptoki, self._login):
            self._login = self._log_in(cryptoki, slotted)
        session = slotted.open(rw=self._writable, attribute_mapper=templates.mapper())
        try:
            keys = self._load(session)
        except BaseException:
            _close(session)
            raise
        self._serial = serial_of(slotted)
        return Live(cryptoki, session, keys, describe(cryptoki, slotted))

    def _log_in(self, cryptoki: Cryptoki, slotted: Slotted) -> Session:
        """Sends the PIN once. Whatever the answer, the session is kept or closed, never leaked."""
        if slotted.flags & TokenFlag.USER_PIN_LOCKED:
            raise self._lock_out("the token says that its PIN is locked")
        if slotted.flags & TokenFlag.USER_PIN_FINAL_TRY:
            raise self._lock_out("one more wrong PIN would lock the token: log in once with the vendor's tool")
        with self._pin.reveal() as pin:
            session = slotted.open()
            try:
                cryptoki.login(handle(session), pin)
            except CryptokiError as error:
                if error.code == USER_ALREADY_LOGGED_IN:
                    return session
                _close(session)
                if error.code in PIN_REFUSED:
                    raise self._lock_out(f"the token refused the PIN ({tell(error)})") from None
                raise
        return session

    def _lock_out(self, reason: str) -> Refusal:
        self._locked_out = f"{reason}; locked out until restart"
        _log.error("token %r: %s", self._address.label, self._locked_out)
        return Refusal("pin_incorrect", self._locked_out)

    def _alive(self, live: Live[K], error: Exception | None) -> bool:
        """SoftHSM answers CKR_GENERAL_ERROR to a bad tag and to a lost token alike: so ask something that must work."""
        if error is not None and lost(error):
            return False
        try:
            if self._login is None or not _logged_in(live.cryptoki, self._login):
                return False
            if not _logged_in(live.cryptoki, live.session):
                return False
            self._load(live.session)
        except (PKCS11Error, CryptokiError, Refusal):
            return False
        return True

    def _lose(self, reason: str) -> None:
        if self._fault is None:
            _log.warning("token %r is lost: %s", self._address.label, reason)
        self._fault = f"the token {self._address.label!r} is lost ({reason}); it is looked for again"
        if self._live is not None:
            _close(self._live.session)
            self._live = None

    def _unavailable(self) -> Refusal:
        return Refusal("token_unavailable", self._fault or "the token does not work")


def _load_library(module: Path) -> Cryptoki:
    try:
        return Cryptoki(str(module))
    except (OSError, AttributeError) as error:
        raise Refusal("bad_configuration", f"{module} is not a PKCS#11 library: {error}") from None
    except CryptokiError as error:
        if error.code == ALREADY_INITIALIZED:
            raise Refusal("bad_configuration", f"something else in this process uses {module} already") from None
        raise


def _logged_in(cryptoki: Cryptoki, session: Session) -> bool:
    try:
        return cryptoki.session_state(handle(session)) in USER_STATES
    except CryptokiError:
        return False


def _close(session: Session) -> None:
    try:
        session.close()
    except PKCS11Error:
        pass
