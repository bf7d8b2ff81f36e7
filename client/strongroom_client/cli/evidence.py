"""`strongroom evidence show|verify`."""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from strongroom.errors import Refusal
from strongroom.evidence.statement import Mode
from strongroom.signer.configuration import parse_mode
from strongroom_client import evidence, orders
from strongroom_client.api import unhex
from strongroom_client.cli.output import (
    AsJson,
    Config,
    context,
    facts,
    out,
    print_json,
    print_refusal,
    refusal_document,
    refusals,
    table,
)
from strongroom_client.context import Context
from strongroom_client.evidence import Judgement, parse_time, show_time

app = typer.Typer(help="Evidence: what a signer proves about itself.", no_args_is_help=True)

Root = Annotated[
    Path | None, typer.Option("--root", help="Root certificate (PEM or DER); with --mode simulated alone.")
]


@app.command()
@refusals
def verify(
    file: Annotated[Path, typer.Argument(help="A Nitro attestation document, raw or base64; - is stdin.")],
    at: Annotated[str | None, typer.Option(help="Judge at this time: ISO 8601 or Unix seconds. Default: now.")] = None,
    mode: Annotated[str, typer.Option(help="production (AWS's root) or simulated (with --root).")] = "production",
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Exit status 0 only where the document is genuine, unexpired, and not of a debug enclave."""
    if mode not in ("production", "simulated"):
        raise typer.BadParameter("production or simulated", param_hint="--mode")
    try:
        moment = int(time.time()) if at is None else parse_time(at)
    except ValueError:
        raise typer.BadParameter("ISO 8601, such as 2024-02-26T07:02:01Z, or Unix seconds", param_hint="--at") from None
    judgement = _judge_file(file, parse_mode(mode), root, moment)
    if as_json:
        print_json({"file": str(file), **document(judgement)})
    else:
        _print(judgement)
    if judgement.refusal is not None:
        raise typer.Exit(1)


def _judge_file(file: Path, mode: Mode, root: Path | None, at: int) -> Judgement:
    """Also what could not be read is a judgement, so that its output says the mode."""
    try:
        return evidence.judge(read(file), evidence.trust_root(mode, root), at)
    except Refusal as refusal:
        return Judgement(mode, at, None, refusal)


def read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Refusal("bad_file", f"{file} cannot be read: {error.strerror}") from error


def document(judgement: Judgement) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "accepted": judgement.refusal is None,
        "mode": judgement.mode,
        "at": judgement.at,
        "refused": None if judgement.refusal is None else refusal_document(judgement.refusal),
    }
    if (statement := judgement.statement) is not None:
        answer |= {
            "root": statement.root,
            "subject": statement.subject,
            "timestamp": statement.timestamp,
            "expires": statement.expires,
            "nonce": _optional(statement.nonce),
            "user_data": _optional(statement.user_data),
            "public_key": _optional(statement.public_key),
            "measurements": {name: value.hex() for name, value in statement.measurements.items()},
        }
    return answer


def _optional(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _print(judgement: Judgement) -> None:
    if judgement.refusal is not None:
        print_refusal(judgement.refusal, as_json=False)
        out.print(f"mode     {judgement.mode}, judged at {show_time(judgement.at)}")
        return
    statement = judgement.statement
    assert statement is not None  # noqa: S101  # one of the two is there
    out.print(f"[bold green]accepted[/]  mode {judgement.mode}, judged at {show_time(judgement.at)}")
    facts(
        {
            "enclave": statement.subject,
            "made at": show_time(statement.timestamp),
            "valid until": show_time(statement.expires),
            "nonce": _optional(statement.nonce) or "none",
            "user data": _optional(statement.user_data) or "none",
            "public key": (_optional(statement.public_key) or "none")[:128],
        }
    )
    rows = [(name, value.hex()) for name, value in statement.measurements.items() if any(value)]
    table(None, ("register", "value"), rows)


@app.command()
@refusals
def show(
    signer: Annotated[str, typer.Argument(help="The signer's name.")],
    save: Annotated[Path | None, typer.Option(help="Write the document here, for `evidence verify`.")] = None,
    root: Root = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Fresh evidence of one signer, asked with a nonce drawn here; judged by the context's roster, or by --root."""
    loaded = context(config)
    nonce = secrets.token_bytes(32)
    with loaded.api() as api:
        answer = api.evidence(signer, nonce)
    raw = unhex(answer, "document")
    if save is not None:
        save.write_bytes(raw)
    judgement = _judge(loaded, signer, str(answer.get("root")), root, raw, nonce)
    if as_json:
        judged = None if judgement is None else document(judgement)
        shown = {
            "signer": signer,
            "mode": loaded.mode,
            "asked": nonce.hex(),
            "document": raw.hex(),
            "judgement": judged,
        }
        print_json(shown)
    elif judgement is not None:
        _print(judgement)
    else:
        out.print(f"{len(raw)} bytes, mode {loaded.mode}, not judged: name a root with --root")
    if judgement is None or judgement.refusal is not None:
        raise typer.Exit(1)


def _judge(
    loaded: Context, signer: str, kind: str, root: Path | None, raw: bytes, nonce: bytes
) -> evidence.Judgement | None:
    """None where nothing is pinned that it could be judged by."""
    at = int(time.time())
    if root is None and loaded.roster is not None:
        mode, roster = orders.load_roster(loaded.roster)
        if mode != loaded.mode:
            raise Refusal("mode_mismatch", f"the roster is of mode {mode}, the context of mode {loaded.mode}")
        for member in roster:
            if member.name == signer:
                return evidence.judge_answer(raw, member.trust_root(mode), at, nonce, member.measurements)
    if root is None and (loaded.mode == "simulated" or kind != "nitro"):
        return None
    trusted = evidence.trust_root(loaded.mode, root, "pkcs11" if kind == "pkcs11" else "nitro")
    return evidence.judge_answer(raw, trusted, at, nonce)
