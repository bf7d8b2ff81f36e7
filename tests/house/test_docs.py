"""Documents that are made from the code, and links between documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.docs import image_page, journals_page
from infra.docs.errors_page import page
from strongroom import schemes

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_page_of_error_codes_is_the_table() -> None:
    assert (ROOT / "docs/errors.md").read_text() == page(), "run `make docs`"


def test_the_page_of_journals_is_what_the_code_computes() -> None:
    assert (ROOT / "docs/journals.md").read_text() == journals_page.page(), "run `make docs`"


def test_the_page_of_the_image_is_what_it_takes_of_its_inputs() -> None:
    assert (ROOT / "docs/image.md").read_text() == image_page.page(), "run `make docs`"


@pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", document.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose)
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


def test_the_readme_tells_of_each_suite_what_the_native_module_does() -> None:
    """Library, version, auditor and randomness, in one row."""
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `")]
    for suite in schemes.suites().values():
        (row,) = (row for row in rows if row.startswith(f"| `{suite.name}`"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[3:] == [f"{suite.library} {suite.version}", suite.auditor, suite.randomness]
        assert cells[2] == ("*n*-of-*n*" if suite.all_sign else "*t*-of-*n*")


def test_sizes_and_times_agree() -> None:
    """What `make` says it will fetch, what the demo says, what the README says."""
    makefile, announce, readme = ((ROOT / name).read_text() for name in ("Makefile", "demo/announce", "README.md"))
    (packages,) = re.findall(r"\((\d+) MB in \.venv\)", makefile)
    assert re.findall(r"Python packages +(\d+) MB", announce) == [packages]
    assert re.findall(r"\((\d+) MB in `\.venv`\)", readme) == [packages]
    assert "about two minutes" in makefile and "about two minutes" in announce
