"""The reference pages and the README's table are what the docstrings say: `make docs`."""

from pathlib import Path

import pytest

from simulations.catalogue import SECTIONS, catalogue
from simulations.manuals import disclosures, markdown, plain

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("family", SECTIONS)
def test_the_page_of_a_family_is_what_its_docstrings_say(family):
    page = (ROOT / "docs" / "components" / f"{family}.md").read_text()
    assert page == "\n".join(markdown(catalogue(family))) + "\n", "type: make docs"


def test_there_is_no_page_without_a_family():
    pages = {path.stem for path in (ROOT / "docs" / "components").glob("*.md")}
    assert pages == set(SECTIONS)


def test_the_table_of_the_readme_is_what_weightings_need():
    text = (ROOT / "README.md").read_text()
    _, _, rest = text.partition("<!-- disclosures -->\n")
    table, mark, _ = rest.partition("\n<!-- end -->")
    assert mark
    assert table.splitlines() == disclosures(catalogue("weightings")), "type: make docs"


def test_formulas_roles_and_attributes_are_rewritten():
    text = (
        "A thing.\n\n.. math:: a = b\n          + c\n\nOf :class:`Other` and :math:`x`, ``y``.\n\n"
        "Attributes:\n    one: first\n        and more.\n    two: second.\n\nReference: here."
    )
    assert plain(text) == (
        "A thing.\n\n$$\na = b\n         + c\n$$\n\nOf `Other` and $x$, `y`.\n\n"
        "* `one`: first and more.\n* `two`: second.\n\nReference: here."
    )
