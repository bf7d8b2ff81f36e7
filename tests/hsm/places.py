"""SoftHSM tokens in a temporary folder, as an operator finds them. Also used by the scripts that tests run."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from strongroom.evidence.statement import Mode
from strongroom.signer.configuration import Configuration, Officers, Sealing
from strongroom_hsm.backends import Backends, open_backends
from strongroom_hsm.identity import Certified
from strongroom_hsm.keys import Keys, Labels
from strongroom_hsm.pin import FilePin, Pin
from strongroom_hsm.provision import Provisioned, provision
from strongroom_hsm.token import Token, TokenAddress

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)
T = TypeVar("T")

PIN = "8265-token-pin"
OFFICER_PIN = "security-officer"


def module() -> Path:
    return next(Path(each) for each in MODULES if Path(each).exists())


def configure(folder: Path) -> None:
    """Points SoftHSM at `folder`; before the library is loaded, and inherited by scripts."""
    (folder / "tokens").mkdir(parents=True)
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(conf)


_opened: list[Token[Any]] = []


def opened(token: Token[T]) -> Token[T]:
    """The library belongs to one token at a time: a test's last word is `close_all`."""
    _opened.append(token)
    return token


def close_all() -> None:
    while _opened:
        _opened.pop().close()


@dataclass(frozen=True)
class Place:
    """One token: the files of it under `tokens`, and the operator's files beside them in `folder`."""

    label: str
    store: Path
    folder: Path
    name: str = "hsm-a"

    @property
    def address(self) -> TokenAddress:
        return TokenAddress(module(), self.label)

    @property
    def labels(self) -> Labels:
        return Labels("identity", "kek")

    @property
    def pin_file(self) -> Path:
        return self.folder / "pin"

    @property
    def pin(self) -> Pin:
        return FilePin(self.pin_file)

    def write_pin(self, pin: str) -> None:
        self.pin_file.unlink(missing_ok=True)
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(pin + "\n")

    def provision(self) -> Provisioned:
        return provision(self.address, self.labels, self.pin, self.name)

    def token(self, pin: Pin | None = None) -> Token[Keys]:
        return opened(Token(self.address, pin or self.pin, self.labels.load))

    def certified(self) -> Certified:
        return Certified.load(self.folder / "certificate.pem", self.folder / "chain.pem")

    def configuration(self, mode: Mode = "simulated") -> Configuration:
        return Configuration(mode, self.name, Officers((bytes(32),), 1), Sealing("pkcs11", self.labels.kek))

    def open(self) -> Backends:
        backends = open_backends(self.address, self.labels, self.pin, self.certified(), self.configuration())
        opened(backends.token)
        return backends


def init_token(folder: Path, label: str, *, pin: str = PIN, name: str = "hsm-a") -> Place:
    """A new token with no keys. The folder is the one given to `configure`."""
    tokens = folder / "tokens"
    before = set(tokens.iterdir())
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", OFFICER_PIN, "--pin", pin],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (store,) = set(tokens.iterdir()) - before
    own = folder / label
    own.mkdir()
    place = Place(label, store, own, name)
    place.write_pin(pin)
    return place
