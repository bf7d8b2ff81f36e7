"""Run by test_fork.py in a process of its own, which forks with a token open: label, store, folder."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from strongroom.errors import Refusal
from strongroom_hsm.backends import Backends
from strongroom_hsm.pin import DescriptorPin
from tests.hsm.places import PIN, Place


def refused(call: Callable[[], object], code: str) -> None:
    try:
        call()
    except Refusal as refusal:
        assert refusal.code == code, refusal
    else:
        raise AssertionError("it worked in a forked child")


def child(place: Place, backends: Backends, wrapped: bytes, pin: DescriptorPin) -> None:
    refused(lambda: backends.sealer.new_key({}), "wrong_process")
    refused(lambda: backends.sealer.open_key(wrapped, {}), "wrong_process")
    refused(lambda: backends.attester.attest(nonce=b"", user_data=b"", public_key=b""), "wrong_process")
    refused(lambda: pin.reveal().__enter__(), "bad_configuration")
    assert bytes(pin._secret) == bytes(len(PIN))
    # The library believes that it is initialised here too.
    refused(place.token().open, "bad_configuration")
    backends.token.close()


def main() -> int:
    place = Place(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    reading, writing = os.pipe()
    os.write(writing, PIN.encode())
    os.close(writing)
    pin = DescriptorPin(reading)
    backends = place.open()
    _, wrapped = backends.sealer.new_key({})
    # A lock that another thread holds at the fork stays locked in the child for ever.
    with backends.token._lock:
        forked = os.fork()
        if forked == 0:
            code = 1
            try:
                child(place, backends, wrapped, pin)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
    _, status = os.waitpid(forked, 0)
    assert status == 0, status
    # The child's end took nothing from the parent.
    backends.sealer.open_key(wrapped, {})
    with pin.reveal() as secret:
        assert secret == PIN.encode()
    return 0


if __name__ == "__main__":
    sys.exit(main())
