"""The reference pages and the README's table are what the docstrings say: `make docs`."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from common.configure import kinds
from simulations.catalogue import FAMILIES, SECTIONS, catalogue
from simulations.experiment_file import SHIPPED, read, shipped
from simulations.headers import header, methods, parted
from simulations.manuals import markdown, plain
from simulations.method_pages import STEERING, pages
from simulations.methods import PLATFORM, parts
from simulations.reference import METHODS, tables

ROOT = Path(__file__).parents[1]
MISSION = {"knot", "rw_kd", "reinforced", "lelp"}
PEERS = {"fedmd", "feddf", "ds_fl", "scarlet", "cfd", "govern", "ca_mkd", "fed_et"}
OWN = {"knot_plus", "knot_plus_familiarity", "familiarity"}


@cache
def made():
    return pages()


@cache
def made_tables():
    return tables()


every_method = pytest.mark.parametrize("name", methods())


@pytest.mark.parametrize("family", SECTIONS)
def test_the_page_of_a_family_is_what_its_docstrings_say(family):
    page = (ROOT / "docs" / "components" / f"{family}.md").read_text()
    assert page == "\n".join(markdown(catalogue(family))) + "\n", "type: make docs"


def test_there_is_no_page_without_a_family():
    pages = {path.stem for path in (ROOT / "docs" / "components").glob("*.md")}
    assert pages == set(SECTIONS)


def test_the_tables_of_the_readme_are_what_the_files_say():
    text = (ROOT / "README.md").read_text()
    _, _, rest = text.partition("<!-- disclosures -->\n")
    table, mark, _ = rest.partition("\n<!-- end -->")
    assert mark
    assert table.splitlines() == made_tables(), "type: make docs"


def test_the_page_of_a_method_is_what_its_files_say():
    for name, lines in made().items():
        page = (ROOT / METHODS / f"{name}.md").read_text()
        assert page == "\n".join(lines) + "\n", f"{name} is stale; type: make docs"
    there = {path.stem for path in (ROOT / METHODS).iterdir()}
    assert there == set(made()) == {"README", *methods()}


def test_every_system_that_was_promised_is_a_method():
    assert set(methods()) >= MISSION | PEERS | OWN


@pytest.mark.parametrize("name", shipped())
def test_an_experiment_with_a_source_says_what_it_departs_in(name):
    told = parted(header(name))
    assert bool(told.source) == bool(told.departures)


@every_method
def test_a_method_has_all_sections_and_a_row(name):
    told, lines = parted(header(name)), made()[name]
    assert all((told.idea, told.source, told.departures, told.figures))
    titles = ("Source", "Parts", "Departures", "Disclosure", "Figures", "Command")
    assert [line[3:] for line in lines if line.startswith("## ")] == list(titles)
    assert f"fedknot run {name}" in lines
    for part in parts(name, read(name)):
        assert f"### {part.title}" in lines
        assert len(part.gist) > 20
    assert sum(f"[`{name}`]({METHODS}{name}.md)" in row for row in made_tables()) == 1


@every_method
def test_no_rule_of_a_method_is_left_out(name):
    table = tomllib.loads((SHIPPED / f"{name}.toml").read_text("utf-8"))
    written = {f"{side}.{key}" for side in ("clients", "server") for key in table[side]}
    assert written - {*PLATFORM} <= {part.key for part in parts(name, read(name))}


@pytest.mark.parametrize("family", STEERING)
def test_every_rule_is_reached_from_the_index(family):
    manual = (ROOT / "docs" / "components" / f"{family}.md").read_text()
    index = "\n".join(made()["README"])
    for kind in kinds(FAMILIES[family]):
        assert f"](../../components/{family}.md#{kind})" in index
        assert f"\n## {kind}\n" in manual


@pytest.mark.parametrize("name", ["README", *methods()])
def test_links_lead_somewhere(name):
    here = ROOT / METHODS
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", "\n".join(made()[name])):
        assert "://" in target or (here / target).is_file(), target


def test_the_parts_of_a_comment():
    text = (
        "A thing: it does.\n\nSource: Someone 2020,\nhttps://a. Departures: none; or one.\n"
        "Seeds 0, 1: much.\n  fedknot run thing\n\nMore of it."
    )
    told = parted(text)
    assert told.idea == "A thing: it does."
    assert told.source == "Someone 2020,\nhttps://a."
    assert told.departures == "none; or one."
    assert told.figures == "Seeds 0, 1: much.\n  fedknot run thing\n\nMore of it."
    both = parted("A.\nSource and departures: as there.\nFigures: here.\nFigures, and more: there")
    assert both.source == both.departures == "as there."
    assert both.figures == "here.\n\nFigures, and more: there"
    assert parted("Only an idea. No sources or figures.").departures == ""


def test_formulas_roles_and_attributes_are_rewritten():
    text = (
        "A thing.\n\n.. math:: a = b\n          + c\n\nOf :class:`Other` and :math:`x`, ``y``.\n\n"
        "Attributes:\n    one: first\n        and more.\n    two: second.\n\nReference: here."
    )
    assert plain(text) == (
        "A thing.\n\n$$\na = b\n         + c\n$$\n\nOf `Other` and $x$, `y`.\n\n"
        "* `one`: first and more.\n* `two`: second.\n\nReference: here."
    )
