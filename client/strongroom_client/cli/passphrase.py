"""Where a passphrase comes from: a file, an open file descriptor, or the terminal; never argv or the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from strongroom.errors import Refusal
from strongroom_client.keyfiles import Passphrase

File = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the keys' passphrase on its first line.")
]
Descriptor = Annotated[int | None, typer.Option("--passphrase-fd", help="Open file descriptor to read it from.")]


def source(file: Path | None, descriptor: int | None) -> Passphrase:
    """Asked once, and only when a key file turns out to be encrypted."""
    known: list[bytes] = []

    def ask() -> bytes:
        if not known:
            known.append(_read(file, descriptor, confirm=False))
        return known[0]

    return ask


def new(file: Path | None, descriptor: int | None) -> bytes:
    """For keys that are about to be made: typed twice at a terminal."""
    return _read(file, descriptor, confirm=True)


def _read(file: Path | None, descriptor: int | None, *, confirm: bool) -> bytes:
    if file is not None and descriptor is not None:
        raise Refusal("passphrase", "give --passphrase-file or --passphrase-fd, not both")
    if file is not None:
        try:
            text = file.read_text()
        except OSError as error:
            raise Refusal("passphrase", f"{file} cannot be read: {error.strerror}") from error
    elif descriptor is not None:
        try:
            with os.fdopen(descriptor) as stream:
                text = stream.read()
        except OSError as error:
            raise Refusal("passphrase", f"file descriptor {descriptor} cannot be read: {error.strerror}") from error
    elif sys.stdin.isatty():
        text = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    else:
        raise Refusal("passphrase", "the keys are encrypted and there is no terminal to ask at")
    passphrase = text.split("\n", 1)[0].encode()
    if not passphrase:
        raise Refusal("passphrase", "the passphrase is empty")
    return passphrase
