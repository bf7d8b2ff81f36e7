"""Prints docs/journals.md, what so many signers and witnesses withstand: `make docs` writes it, a test holds it."""

from __future__ import annotations

from strongroom.journal.quorum import Quorum

_ROWS = [(3, 2, witnesses) for witnesses in range(5)] + [(5, 3, witnesses) for witnesses in range(4)]
_ROWS += [(n, t, w) for n, t in ((2, 2), (3, 3), (7, 4), (9, 5)) for w in (0, 1, 3)]

_HEAD = """# What journals withstand

Made from `strongroom/journal/quorum.py` by `make docs`. *n* signers of whom *t* sign, and witnesses: N journals
together. Up to *t* − 1 of them lie, together with the host.

- **w** must acknowledge a request, so N − w may be *away*.
- **r** joined others must be heard by one that was restarted; more, where some of them have not joined themselves.
- **rolled back**: so many honest ones may lose what they remembered, together, and nothing is signed twice and no
  limit is passed. One more, and the liars with them, and it may be: [the run](journal-counterexample.txt).
- **away while one restarts**: the others that may be out of reach when one joins again. With 0, a restarted journal
  acknowledges nothing until all others have been heard.
- **a copy beside it**: whether, while another one is rolled back within the bound, one sealed state may also be
  booted twice.

A row without witnesses is for comparison: an order that names none keeps no such journal.

| n | t | witnesses | N | w | away | r | rolled back | away while one restarts | a copy beside it |
|---|---|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    return _HEAD + "".join(_row(*row) for row in sorted(_ROWS))


def _row(signers: int, threshold: int, witnesses: int) -> str:
    quorum = Quorum(signers + witnesses, threshold)
    n, w = quorum.journals, quorum.acknowledgements
    beside = "yes" if quorum.tolerated > 1 and (n + threshold) % 2 == 0 else "no"
    cells = (signers, threshold, witnesses, n, w, n - w, quorum.heard, quorum.tolerated, n - 1 - quorum.heard, beside)
    return "| " + " | ".join(map(str, cells)) + " |\n"


if __name__ == "__main__":
    print(page(), end="")
