"""A review as one HTML file: nothing to fetch, nothing that runs, in light and dark, and on paper.

Every text of somebody else's is escaped; the policy in its head forbids scripts and requests to whatever opens it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from strongroom_client.evidence import show_time
from strongroom_client.reviewing.packages import Change
from strongroom_client.reviewing.review import Finding, Register, Review

_WORDS: Final = {"good": "good", "note": "note", "bad": "bad"}

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #f4f2ee; --card: #ffffff; --ink: #1c2321; --soft: #5d6763; --line: #dcd8d0;
  --good: #17613f; --bad: #9c2b22; --note: #7a4b00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141817; --card: #1d2321; --ink: #eceae4; --soft: #a3aca8; --line: #37403c;
    --good: #4fb487; --bad: #f08a7f; --note: #f2c879;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 2rem 1rem 3rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
}
main { max-width: 60rem; margin: 0 auto; background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
section { padding: 1.4rem 2rem; border-top: 1px solid var(--line); }
section:first-child { border-top: 0; }
h1 { margin: 0 0 .4rem; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 0 0 .8rem; font-size: 1rem; }
p { margin: .2rem 0; color: var(--soft); overflow-wrap: anywhere; }
.verdict { font-weight: 650; }
.good { color: var(--good); } .bad { color: var(--bad); } .note { color: var(--note); }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: .85rem; }
td { overflow-wrap: anywhere; }
td.level, td.subject { white-space: nowrap; }
td.level { font-weight: 600; }
code { font: .82rem/1.45 ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
@media (max-width: 40rem) { section { padding: 1.2rem 1rem; } }
@media print {
  :root { color-scheme: light; --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb;
          --good: #17613f; --bad: #9c2b22; --note: #7a4b00; }
  body { padding: 0; } main { border: 0; }
}
"""


def page(review: Review) -> str:
    given = review.given
    verdict, level = ("Accepted", "good") if review.accepted else ("Refused", "bad")
    head = (
        f'<h1>Evidence review: <span class="verdict {level}">{verdict}</span></h1>'
        f"<p>{escape(given.source)}, held against {escape(given.release.name)}.</p>"
        f"<p>Mode {escape(given.judgement.mode)}, judged at {show_time(given.judgement.at)}.</p>"
    )
    parts = [
        f"<section>{head}</section>",
        _section("Findings", _table((), map(_finding, review.findings))),
        _section("Measurements", _table(("register", "measured", "", "of"), map(_register, review.registers)))
        if review.registers
        else "",
        _section("Certificates", _table(("subject", "from", "until"), _links(review))) if review.chain else "",
        _section("Packages", _table(("package", "before", "now"), map(_change, review.changes)))
        if review.changes
        else "",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{verdict}: {escape(given.release.name)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(parts)}\n</main>\n</body>\n</html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>\n"


def _table(columns: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{column}</th>" for column in columns)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if columns else ''}<tbody>{''.join(rows)}</tbody></table>"


def _row(*cells: tuple[str, str]) -> str:
    """Pairs of a class and what is HTML already."""
    return "<tr>" + "".join(f'<td class="{kind}">{content}</td>' for kind, content in cells) + "</tr>"


def _finding(finding: Finding) -> str:
    return _row(
        (f"level {finding.level}", _WORDS[finding.level]),
        ("subject", escape(finding.subject)),
        ("", escape(finding.words)),
    )


def _register(register: Register) -> str:
    level, words = {True: ("good", "same"), False: ("bad", "differs"), None: ("", "")}[register.same]
    wanted = [each for each in (register.release, register.roster) if each is not None and each != register.measured]
    values = [
        f"<code>{register.measured.hex() or 'absent'}</code>",
        *(f"wanted <code>{w.hex()}</code>" for w in wanted),
    ]
    return _row(
        ("subject", f"<code>{escape(register.name)}</code>"),
        ("", "<br>".join(values)),
        (f"level {level}", words),
        ("", escape(register.meaning)),
    )


def _links(review: Review) -> Iterable[str]:
    for link in review.chain:
        yield _row(("", escape(link.subject)), ("", show_time(link.begins)), ("", show_time(link.ends)))


def _change(change: Change) -> str:
    after = escape(change.after or "gone") + (" (another content)" if change.same_version else "")
    return _row(("", escape(change.name)), ("", escape(change.before or "new")), ("", after))
