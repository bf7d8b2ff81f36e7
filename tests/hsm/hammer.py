"""Run by test_threads.py in a process of its own: label, store, folder, what, threads, seconds."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pkcs11 import Mechanism

from strongroom.errors import Refusal
from strongroom.evidence import pkcs11
from strongroom.evidence.statement import TrustRoot
from strongroom_hsm import cryptoki as cryptoki_module
from strongroom_hsm import templates
from strongroom_hsm.cryptoki import handle
from tests.hsm.places import Place

Work = Callable[[int], None]


def signer(place: Place) -> Work:
    """What a signer does, through its one lock, with the watch looking in between."""
    backends = place.open()
    backends.token.watch(threading.Event(), interval=0.02)
    root = TrustRoot("pkcs11", "simulated", hashlib.sha256(place.certified().chain[-1]).digest())

    def work(number: int) -> None:
        context = {"signer": "hsm-a", "wallet": str(number)}
        key, wrapped = backends.sealer.new_key(context)
        assert backends.sealer.open_key(wrapped, context).expose() == key.expose()
        try:
            backends.sealer.open_key(wrapped, {"signer": "other"})
            raise AssertionError("it opened for another")
        except Refusal as refusal:
            assert refusal.code == "sealed_mismatch", refusal
        nonce = str(number).encode()
        document = backends.attester.attest(nonce=nonce, user_data=b"", public_key=b"")
        assert pkcs11.verify(document, root=root, at=int(time.time())).nonce == nonce

    return work


def library(place: Place) -> Work:
    """The library alone, a session for each thread, without our lock."""
    token = place.token()
    live = token.run(lambda live: live)
    slotted, cryptoki = live.session.token, live.cryptoki
    local = threading.local()

    def work(_: int) -> None:
        if not hasattr(local, "keys"):
            local.session = slotted.open(attribute_mapper=templates.mapper())
            local.keys = place.labels.load(local.session)
        local.keys.identity.sign(bytes(32), mechanism=Mechanism.ECDSA)
        session, kek = handle(local.session), handle(local.keys.kek)
        iv, sealed = cryptoki.encrypt(session, kek, bytearray(b"k" * 32), b"aad", bytes(12))
        assert cryptoki.decrypt(session, kek, sealed, b"aad", iv) == b"k" * 32
        place.labels.load(local.session)

    return work


def undeclared(place: Place) -> Work:
    """The same after python-pkcs11's C_Initialize(NULL): no flags, no mutexes."""
    cryptoki_module.CKF_OS_LOCKING_OK = 0  # type: ignore[misc]
    return library(place)


def main() -> int:
    label, store, folder, what, count, seconds = sys.argv[1:]
    work = {"signer": signer, "library": library, "undeclared": undeclared}[what](
        Place(label, Path(store), Path(folder))
    )
    end = time.monotonic() + float(seconds)
    rounds: list[int] = []
    failures: list[str] = []

    def loop(number: int) -> None:
        done = 0
        try:
            while time.monotonic() < end:
                work(number)
                done += 1
        except BaseException as error:
            failures.append(repr(error))
        rounds.append(done)

    threads = [threading.Thread(target=loop, args=(number,)) for number in range(int(count))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    print(min(rounds), failures[:3])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
