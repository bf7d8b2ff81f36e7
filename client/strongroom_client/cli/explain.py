"""`strongroom tx explain`: what bytes would do, decoded here; no host is asked."""

from __future__ import annotations

import base64
import binascii
import re
import sys
from pathlib import Path
from typing import Annotated, Final, cast, get_args

import typer

from strongroom.chains.explain import CHAINS, Asked, Explanation, Kind
from strongroom.chains.explain import explain as judge
from strongroom.errors import Refusal
from strongroom.wallet.certificate import Body, Certificate
from strongroom_client.cli.output import AsJson, facts, print_json, refusals

_HEX: Final = re.compile(rb"(0x)?([0-9a-fA-F]{2})+")
_PSBT: Final = b"cHNidP"
"""How a PSBT begins in base64."""


@refusals
def explain(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|HEX", help="Hexadecimal, base64 of a PSBT, or a file of either or of the bytes; - is stdin."
        ),
    ],
    chain: Annotated[str, typer.Option(help=f"One of {', '.join(CHAINS)}.")],
    kind: Annotated[
        str | None, typer.Option(help="transaction, text, typed-data or authorization, where the bytes do not tell.")
    ] = None,
    wallet: Annotated[
        Path | None, typer.Option(help="The wallet's certificate file, to tell its own from others'. Bitcoin needs it.")
    ] = None,
    network: Annotated[str | None, typer.Option(help="EVM: the chain id. Default otherwise: mainnet.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what these bytes would do and what would be signed for them, or why signers refuse them (exit status 1)."""
    if chain not in CHAINS:
        raise typer.BadParameter(f"one of {', '.join(CHAINS)}", param_hint="--chain")
    if kind is not None and kind not in get_args(Kind):
        raise typer.BadParameter(f"one of {', '.join(get_args(Kind))}", param_hint="--kind")
    stated = cast("Kind | None", kind)
    owner = None if wallet is None else _wallet(wallet)
    explained = judge(chain, Asked(load(source, stated), stated, owner, network))
    if as_json:
        print_json(explained.document())
    else:
        _print(explained)


def load(source: str, kind: Kind | None) -> bytes:
    """The bytes that are meant. A file whose name is hexadecimal is written ./name. Raises Refusal `bad_file`."""
    written = source.encode()
    if _HEX.fullmatch(written) or written.startswith(_PSBT):
        return _unwrap(written)
    try:
        raw = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except (OSError, ValueError) as error:
        raise Refusal("bad_file", f"{source[:80]} is neither hexadecimal nor a file that can be read") from error
    return raw if kind in ("text", "typed-data") else _unwrap(raw)


def _unwrap(raw: bytes) -> bytes:
    """Bytes from their text, where they are one."""
    text = raw.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text.decode().removeprefix("0x"))
    if not text.startswith(_PSBT):
        return raw
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise Refusal("malformed_transaction", "it begins like a PSBT in base64, and is none") from None


def _wallet(file: Path) -> Body:
    try:
        return Body.decode(Certificate.decode(_unwrap(file.read_bytes())).body)
    except OSError as error:
        raise Refusal("bad_file", f"{file} cannot be read: {error.strerror}") from error


def _print(explained: Explanation) -> None:
    rows = {"chain": explained.effects.chain, "kind": explained.kind}
    rows |= {str(number): sentence for number, sentence in enumerate(explained.sentences(), 1)}
    for each in explained.to_sign:
        path = "/".join(("m", *map(str, each.path))) if each.path else ""
        rows[f"to sign {path}".rstrip()] = each.message.hex()
    facts(rows)
