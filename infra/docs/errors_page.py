"""Prints docs/errors.md from the table of codes: `make docs` writes it, a test holds it to the table."""

from __future__ import annotations

from strongroom.errors import CODES

_KINDS = {
    "malformed": "the request itself is wrong",
    "refused": "understood, and refused",
    "missing": "something that does not exist here",
    "conflict": "not in this state",
    "busy": "not now; try again",
    "fault": "a ceremony failed",
    "unavailable": "something else is down; try again",
    "internal": "a defect",
}


def page() -> str:
    lines = [
        "# Every error code",
        "",
        "Made from `strongroom/errors.py` by `make docs`. A code is never renamed and never reused. Kinds: "
        + "; ".join(f"*{kind}*: {meaning}" for kind, meaning in _KINDS.items())
        + ".",
        "",
        "| code | kind | try again | what to do |",
        "|---|---|---|---|",
    ]
    for name, code in sorted(CODES.items()):
        lines.append(f"| `{name}` | {code.kind} | {'yes' if code.retryable else 'no'} | {code.remedy} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
