"""Run by test_kryoptic.py: the same pieces over another vendor's library. Arguments: library, folder."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from strongroom.errors import Refusal
from strongroom.signer.configuration import Configuration, Officers, Sealing
from strongroom_hsm import cryptoki as c
from strongroom_hsm.backends import open_backends
from strongroom_hsm.cryptoki import ULONG, Cryptoki
from strongroom_hsm.identity import Certified
from strongroom_hsm.keys import Labels
from strongroom_hsm.pin import FilePin
from strongroom_hsm.provision import provision
from strongroom_hsm.token import Token, TokenAddress
from tests.hsm.authority import Authority

SLOT, PIN, OFFICER = 42, b"12345678", b"87654321"
CKU_SO, CKF_RW_SERIAL = 0, 6


def init_token(library: str) -> None:
    c._FUNCTIONS.update({"C_InitToken": 9, "C_InitPIN": 10, "C_OpenSession": 12})
    cryptoki = Cryptoki(library)
    session = ULONG(0)
    cryptoki._call("C_InitToken", ULONG(SLOT), OFFICER, ULONG(len(OFFICER)), b"second".ljust(32))
    cryptoki._call("C_OpenSession", ULONG(SLOT), ULONG(CKF_RW_SERIAL), None, None, ctypes.byref(session))
    cryptoki._call("C_Login", session, ULONG(CKU_SO), OFFICER, ULONG(len(OFFICER)))
    cryptoki._call("C_InitPIN", session, PIN, ULONG(len(PIN)))
    cryptoki.finalize()


def refused(code: str, call: object) -> None:
    try:
        assert callable(call)
        call()
    except Refusal as refusal:
        assert refusal.code == code, refusal
    else:
        raise AssertionError(f"it was not refused with {code}")


def main() -> None:
    library, folder = sys.argv[1], Path(sys.argv[2])
    conf = folder / "kryoptic.conf"
    conf.write_text(f'[[slots]]\nslot = {SLOT}\ndbtype = "sqlite"\ndbargs = "{folder}/token.sql"\n')
    os.environ["KRYOPTIC_CONF"] = str(conf)
    init_token(library)
    file = folder / "pin"
    file.touch(mode=0o600)
    file.write_bytes(PIN)
    address, labels, pin = TokenAddress(Path(library), "second"), Labels("identity", "kek"), FilePin(file)
    made = provision(address, labels, pin, "hsm-a")
    assert made.made == ("identity", "kek")
    certified = Certified.load(*Authority().certify(made.request, folder))
    configuration = Configuration("simulated", "hsm-a", Officers((bytes(32),), 1), Sealing("pkcs11", "kek"))
    backends = open_backends(address, labels, pin, certified, configuration)
    key, wrapped = backends.sealer.new_key({"signer": "hsm-a"})

    def opens() -> bool:
        return backends.sealer.open_key(wrapped, {"signer": "hsm-a"}).expose() == key.expose()

    assert opens()
    refused("sealed_mismatch", lambda: backends.sealer.open_key(wrapped, {"signer": "hsm-b"}))
    assert backends.token._cryptoki is not None
    backends.token._cryptoki.close_all_sessions(SLOT)
    assert opens()
    backends.token._cryptoki.finalize()
    assert opens()
    backends.attester.check()
    backends.token.close()
    file.write_bytes(b"99999999")
    refused("pin_incorrect", Token(address, pin, labels.load).open)


if __name__ == "__main__":
    main()
