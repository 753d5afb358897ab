"""Writes the reference pages and the README's table from the docstrings: ``make docs``."""

import re
from pathlib import Path

from common.files import write_text
from simulations.catalogue import SECTIONS, catalogue
from simulations.disclosure_tables import rows
from simulations.manuals import disclosures, markdown
from simulations.method_pages import pages

METHODS = "docs/algorithms/methods/"
_TABLE = re.compile(r"(?<=<!-- disclosures -->\n).*?(?=\n<!-- end -->)", re.DOTALL)


def rewrite(root: Path) -> None:
    """Bring ``docs/components/``, the pages of the methods and the README's tables up to date.

    Args:
        root: of a working copy of the project.
    """
    for family in SECTIONS:
        page = root / "docs" / "components" / f"{family}.md"
        page.parent.mkdir(exist_ok=True)
        write_text(page, "\n".join(markdown(catalogue(family))) + "\n")
    for name, lines in pages().items():
        page = root / METHODS / f"{name}.md"
        page.parent.mkdir(exist_ok=True)
        write_text(page, "\n".join(lines) + "\n")
    readme = root / "README.md"
    table = "\n".join(tables())
    write_text(readme, _TABLE.sub(lambda _: table, readme.read_text("utf-8")))


def tables() -> list[str]:
    """What crosses, by rule, by setting and by method."""
    return [*disclosures(catalogue("weightings") | catalogue("reweightings")), "", *rows(METHODS)]


if __name__ == "__main__":
    rewrite(Path.cwd())
