"""The two pages, as HTML. Every word of them that is not ours is escaped, and isolated from the direction of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from strongroom.approval import Approver, approval_digest
from strongroom_client.approving.keys import base64url
from strongroom_client.approving.reading import Line, Reading
from strongroom_client.evidence import show_time


def approval(reading: Reading, approver: Approver) -> str:
    passkey = approver.passkey
    data = {
        "method": "key" if passkey is None else "passkey",
        "approve": base64url(approval_digest("approve", reading.intent.intent_id)),
        "reject": base64url(approval_digest("reject", reading.intent.intent_id)),
        "rp": "" if passkey is None else passkey.rp,
        "credential": "" if passkey is None else base64url(passkey.credential),
    }
    many = " many" if len(reading.lines) > 1 else ""
    sections = (
        f"<h1>{escape(approver.name)}, you are asked to approve</h1>"
        f'<ol class="effects{many}">{"".join(map(_effect, reading.lines))}</ol>{_fee(reading)}',
        f"<h2>The request</h2>{_facts(_request(reading))}{_bytes(reading)}",
        f"<h2>What it takes</h2>{_demands(reading)}",
        f'<h2>What your signature means</h2><div class="meaning">{_MEANING}</div>',
        '<div class="actions"><button class="yes" data-decision="approve">Approve</button>'
        '<button class="no" data-decision="reject">Reject</button>'
        '<p id="status" role="status" aria-live="polite"></p></div>',
    )
    title = " ".join(filter(None, (reading.lines[0].verb, reading.lines[0].amount))) if reading.lines else "Approve"
    return _document(title, reading.wallet.order.order.mode, data, sections)


def enrolment(name: str, rp: str, user: bytes, challenge: bytes) -> str:
    data = {"rp": rp, "user": base64url(user), "name": name, "challenge": base64url(challenge)}
    sections = (
        f"<h1>Enrol an approver</h1><p class='amount'>{escape(name)}</p>"
        "<p>The passkey that you choose now will approve and reject requests. It is made on your device or security "
        "key, and only its public half leaves it.</p>"
        "<p>It must ask you for a fingerprint or a PIN each time: signers refuse an approval for which nobody was "
        "verified.</p>",
        "<h2>What happens then</h2><div class='meaning'><p>The command prints an entry for the wallet's policy. It "
        "counts from the moment at which officers signed a policy that has it.</p></div>",
        '<div class="actions"><button class="yes" id="enrol">Make the passkey</button>'
        '<p id="status" role="status" aria-live="polite"></p></div>',
    )
    return _document(f"Enrol {name}", None, data, sections)


_MEANING = (
    "<p><strong>Approve</strong> signs this request with your key. When enough approvers did, the signers sign the "
    "transaction, and nobody can take that back. Your approval is for this request alone, and ends with it.</p>"
    "<p><strong>Reject</strong> signs a veto, which no number of approvals outweighs. The host carries it to the "
    "signers, and could keep it back: what stops a request for certain is that you do not approve it. Tell the "
    "officers if you suspect fraud.</p>"
    "<p>This page comes from the command in your terminal, which decoded the request on this machine. Never approve on "
    "another page.</p>"
)


def _document(title: str, mode: str | None, data: Mapping[str, str], sections: Iterable[str]) -> str:
    attributes = "".join(f' data-{name}="{escape(value)}"' for name, value in data.items())
    badge = '<span class="badge">simulated: not for funds</span>' if mode == "simulated" else ""
    body = "".join(f"<section>{section}</section>" for section in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="page.css">'
        '<script src="common.js" defer></script><script src="page.js" defer></script></head><body>'
        f'<header><strong>Strongroom</strong>{badge}<span class="here">served by this machine</span></header>'
        f"<main{attributes}>{body}</main></body></html>"
    )


def _effect(line: Line) -> str:
    parts = [f'<div class="what">{escape(line.verb)}</div>']
    if line.amount:
        parts.append(f'<div class="amount"><bdi>{escape(line.amount)}</bdi></div>')
    if line.exact:
        parts.append(f'<div class="exact"><bdi>{escape(line.exact)}</bdi></div>')
    if line.to:
        label, known = "", ""
        if line.known is not None:
            label = f'<span class="label"><bdi>{escape(line.known.label)}</bdi></span> '
            known = f'<span class="known">on the policy\'s list “{escape(line.known.list)}”</span>'
        to = f'<code class="address">{escape(line.to)}</code>'
        parts.append(f'<div class="who"><div class="what">to</div>{label}{known}{to}</div>')
    if line.text:
        parts.append(f'<pre dir="ltr">{escape(line.text)}</pre>')
    parts += [f'<p class="warning">{escape(warning)}</p>' for warning in line.warnings]
    return f"<li>{''.join(parts)}</li>"


def _fee(reading: Reading) -> str:
    if reading.fee is None:
        return ""
    amount, exact = reading.fee
    most = f'<strong>{escape(amount)}</strong> <span class="exact">{escape(exact)}</span>'
    return f'<p class="fee">and a network fee of at most {most}</p>'


def _request(reading: Reading) -> dict[str, str]:
    """Values are HTML."""
    intent = reading.intent
    replaced = {} if intent.replaces is None else {"Replaces": f"<code>{intent.replaces.hex()}</code>"}
    return replaced | {
        "From": "<br>".join(f"<code>{escape(each)}</code>" for each in reading.accounts),
        "On": escape(reading.effects.chain or "no chain: a text, bound to this wallet"),
        "Asked for by": f"<code>{intent.requester.hex()}</code>",
        "Ends": escape(show_time(intent.expiry)),
        "Compare": f'<span class="code">{reading.code}</span><br>with whoever asked, by another channel than the host',
        "Request": f"<code>{intent.request.hex()}</code>",
        "Policy": f"{escape(reading.version)}, <code>{intent.policy.hex()[:16]}…</code>",
    }


def _bytes(reading: Reading) -> str:
    rows = {"Intent id": reading.intent.intent_id.hex(), "Intent": reading.intent.encode().hex()}
    rows |= {f"To sign {number}": each.message.hex() for number, each in enumerate(reading.to_sign, 1)}
    inner = "".join(f"<p>{name}</p><pre>{value}</pre>" for name, value in rows.items())
    return f"<details><summary>The very bytes</summary>{inner}</details>"


def _demands(reading: Reading) -> str:
    rows = [f"<li>{escape(str(demand))}</li>" for demand in reading.demands]
    demands = f'<ul class="demands">{"".join(rows)}</ul>' if rows else "<p>The policy demands no approval of it.</p>"
    if reading.refused is not None:
        demands = f'<p class="warning">The policy would refuse it: {escape(reading.refused)}</p>'
    so_far = ", ".join(reading.counted.approved) or "nobody yet"
    against = f" Rejected by {escape(', '.join(reading.counted.rejected))}." if reading.counted.rejected else ""
    return f"{demands}<p>Approved so far: {escape(so_far)}.{against}</p>"


def _facts(rows: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows.items()) + "</dl>"
