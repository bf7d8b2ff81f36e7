"""Documents that are made from the code, and links between documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.docs.errors_page import page

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_page_of_error_codes_is_the_table() -> None:
    assert (ROOT / "docs/errors.md").read_text() == page(), "run `make docs`"


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", document.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose)
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []
