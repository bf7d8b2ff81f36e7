"""Puts the groups together."""

from __future__ import annotations

import typer

from strongroom_client.cli import (
    approve,
    approver,
    evidence,
    init,
    journal,
    message,
    policy,
    release,
    replace,
    review,
    sign,
    signer,
    tx,
    up,
    wallet,
)

app = typer.Typer(
    name="strongroom",
    help="A wallet is one key that never exists: any t of n signers produce one ordinary signature.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("init")(init.init)
app.add_typer(signer.app, name="signer")
app.add_typer(wallet.app, name="wallet")
app.add_typer(policy.app, name="policy")
app.add_typer(journal.app, name="journal")
app.add_typer(release.app, name="release")
tx.app.command("sign")(sign.sign)
tx.app.command("replace")(replace.replace)
tx.app.command("cancel")(replace.cancel)
app.add_typer(tx.app, name="tx")
app.command("approve")(approve.approve)
app.add_typer(approver.app, name="approver")
app.add_typer(message.app, name="message")
evidence.app.command("review")(review.review)
evidence.app.command("rebuilt")(review.rebuilt)
evidence.app.command("expiry")(review.due)
app.add_typer(evidence.app, name="evidence")


def main() -> None:
    app()
