"""Writes the reference pages and the README's table from the docstrings: ``make docs``."""

import re
from pathlib import Path

from common.files import write_text
from simulations.catalogue import SECTIONS, catalogue
from simulations.manuals import disclosures, markdown

_TABLE = re.compile(r"(?<=<!-- disclosures -->\n).*?(?=\n<!-- end -->)", re.DOTALL)


def rewrite(root: Path) -> None:
    """Bring ``docs/components/`` and the table of ``README.md`` up to date.

    Args:
        root: of a working copy of the project.
    """
    for family in SECTIONS:
        page = root / "docs" / "components" / f"{family}.md"
        page.parent.mkdir(exist_ok=True)
        write_text(page, "\n".join(markdown(catalogue(family))) + "\n")
    readme = root / "README.md"
    table = "\n".join(disclosures(catalogue("weightings")))
    write_text(readme, _TABLE.sub(lambda _: table, readme.read_text("utf-8")))


if __name__ == "__main__":
    rewrite(Path.cwd())
