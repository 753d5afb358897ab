"""A page for every method, and the rows that say what each discloses: written from the files."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from common.configure import kind_of, kinds
from simulations.catalogue import FAMILIES
from simulations.disclosure_tables import disclosed, rows
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.headers import Header, first_sentence, header, methods, parted
from simulations.methods import Part, parts

WRITTEN: Final = (
    "<!-- Written by `make docs` from the heads of the experiments and the docstrings; "
    "do not edit. -->"
)
STEERING: Final = (
    "weightings",
    "aggregators",
    "reweightings",
    "refinements",
    "feedbacks",
    "caches",
)
"""The families of which methods are made; the index lists all that is in them."""

_DOCS: Final = "../../"
_PAGE = re.compile(r"(?<![\w/])docs/([\w/]+\.md)")
_TOML = re.compile(r"(?<![\w/])(\w+)\.toml\b")


def page(name: str) -> list[str]:
    """Source, idea, parts, departures, disclosure, figures and command of one method."""
    made, told = read(name), parted(header(name))
    rules = parts(name, made)
    lines = [
        WRITTEN,
        "",
        f"# {name}",
        "",
        *_prose(told.idea),
        *_section("Source", _prose(told.source)),
        *_section("Parts", _parts(made, rules)),
        *_section("Departures", _departures(told, rules)),
        *_section("Disclosure", disclosed(made)),
        *_section("Figures", _prose(told.figures)),
        *_section("Command", _command(name)),
    ]
    return [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]


def index() -> list[str]:
    """All methods, and who of the families of rules is used by which."""
    return [
        WRITTEN,
        "",
        "# Methods",
        "",
        "Every method is an experiment that ships. What they need and gave stands on their pages; "
        f"side by side they are in [the league]({_DOCS}results.md).",
        "",
        "| method | |",
        "|---|---|",
        *(f"| [`{name}`]({name}.md) | {_first(name)} |" for name in methods()),
        "",
        "## What crosses",
        "",
        *rows(""),
        "",
        "## The rules they are made of",
        "",
        "Any rule can be set in any experiment; those without a method here, too.",
        "",
        "| family | rule | method |",
        "|---|---|---|",
        *_rules(),
    ]


def _first(name: str) -> str:
    return _linked(first_sentence(header(name)).replace("|", "\\|"))


def _rules() -> Iterator[str]:
    users: dict[tuple[str, str], list[str]] = {}
    for name in methods():
        for part in parts(name, read(name)):
            users.setdefault((part.family, part.kind), []).append(f"[`{name}`]({name}.md)")
    for family in STEERING:
        for kind in kinds(FAMILIES[family]):
            rule = f"[`{kind}`]({_DOCS}components/{family}.md#{kind})"
            yield f"| {family} | {rule} | {', '.join(users.get((family, kind), []))} |"


def _parts(made: Experiment, rules: Iterable[Part]) -> Iterator[str]:
    yield from _platform(made)
    for part in rules:
        yield from ("", f"### {part.title}", "", *map(_linked, part.gist.splitlines()), "")
        if part.settings:
            told = ", ".join(f"`{name} = {value!r}`" for name, value in part.settings.items())
            yield f"Here: {told}."
        yield f"[The whole manual]({_DOCS}{part.page})."


def _platform(made: Experiment) -> Iterator[str]:
    """What it is shown on, which is no part of the method."""
    teachers = " and ".join(f"`{kind_of(one)}`" for one in made.clients.recipes)
    rounds = "one round" if made.num_rounds == 1 else f"{made.num_rounds} rounds"
    yield (
        f"Shown on data set `{kind_of(made.data.dataset)}`, {made.data.num_clients} clients by "
        f"`{kind_of(made.data.partition)}`, {rounds}, teacher {teachers}, student "
        f"`{kind_of(made.server.student)}`. The method is:"
    )


def _departures(told: Header, rules: Iterable[Part]) -> Iterator[str]:
    yield from _prose(_capital(told.departures))
    for part in rules:
        if part.departures:
            yield ""
            yield f"Of the {part.title}{part.departures.removeprefix('Departures')}"


def _capital(text: str) -> str:
    return text if text.startswith("docs/") else text[:1].upper() + text[1:]


def _command(name: str) -> list[str]:
    return [
        "```sh",
        f"fedknot run {name}",
        f"fedknot plan {name}    # who would hold what, and what would cross",
        "```",
    ]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return ["", f"## {title}", "", *lines]


def _prose(text: str) -> Iterator[str]:
    """Words of a header as Markdown: indented lines are kept as they stand, names of pages link."""
    lines, block = _capital(text).splitlines(), list[str]()
    for line in [*lines, ""]:
        if line.startswith("  "):
            block.append(line)
            continue
        if block:
            yield from ("", "```text", *textwrap.dedent("\n".join(block)).splitlines(), "```", "")
            block = []
        yield _linked(line)


def _linked(line: str) -> str:
    def method(found: re.Match[str]) -> str:
        name = found.group(1)
        return f"[`{name}`]({name}.md)" if name in _known() else found.group(0)

    return _TOML.sub(method, _PAGE.sub(rf"[docs/\1]({_DOCS}\1)", line))


@cache
def _known() -> frozenset[str]:
    return frozenset(methods())


def pages() -> dict[str, list[str]]:
    """All pages by their names, the index under ``README``."""
    return {"README": index()} | {name: page(name) for name in methods()}
