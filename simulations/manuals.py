"""Reference pages, one for each family, written from the files: ``list --markdown``."""

import inspect
import re
import textwrap
from typing import Any

from common.configure import find
from simulations.catalogue import EXPERIMENTS, FAMILIES
from simulations.crossings import crossings
from simulations.headers import header

_ROLE = re.compile(r":\w+:`~?([^`]*)`")
_MATH = re.compile(r"\.\. math::\n?((?:[^\n]*\n)+?)(?=\n|\Z)")


def markdown(made: dict[str, Any]) -> list[str]:
    """The catalogue as Markdown: idea, formula, departures, source, settings, disclosure."""
    lines = [
        "<!-- Written by `fedknot list --markdown` from the docstrings; do not edit. -->",
    ]
    for family, members in made.items():
        lines += ["", f"# {family.capitalize()}", ""]
        for member in members:
            lines += _member(family, member)
    return lines


def disclosures(made: dict[str, Any]) -> list[str]:
    """What crosses beside the predictions, by rule and by setting: tables of the README."""
    rows = ["| rule | crosses beside the predictions | of the server |", "|---|---|---|"]
    for family, member in ((f, m) for f, members in made.items() for m in members):
        crosses = ", ".join(f"`{name}`" for name in member["discloses"]) or "nothing"
        labels = "public labels" if member["needs_public"] else ""
        rule = f"{family.removesuffix('s')} `{member['kind']}`"
        rows.append(f"| {rule} | {crosses} | {labels} |")
    return [*rows, "", *crossings()]


def _member(family: str, member: dict[str, Any]) -> list[str]:
    text = _text(family, member["kind"])
    told = [f"## {member['kind']}", "", *plain(text).splitlines(), ""]
    if member["fields"]:
        told += ["| setting | default |", "|---|---|"]
        told += [f"| `{n}` | `{about['default']!r}` |" for n, about in member["fields"].items()]
        told.append("")
    if member["discloses"]:
        told += [f"Crosses beside the predictions: {', '.join(member['discloses'])}.", ""]
    if member["needs_public"]:
        told += ["Needs known labels of some transfer texts (`data.labelled_transfer`).", ""]
    return told


def _text(family: str, kind: str) -> str:
    """All that is said of a member: its docstring, or the comment at its head."""
    if family == EXPERIMENTS:
        return textwrap.indent(f"{header(kind)}\n\nfedknot run {kind}", "    ")
    return inspect.getdoc(find(FAMILIES[family], kind)) or ""


def plain(text: str) -> str:
    """A docstring as Markdown: roles, formulas and lists of attributes are rewritten."""
    text = _MATH.sub(_formula, text.replace("``", "`"))
    text = re.sub(r":math:`([^`]*)`", r"$\1$", text)
    text = _ROLE.sub(r"`\1`", text)
    head, mark, rest = text.partition("Attributes:\n")
    if not mark:
        return text
    block, gap, tail = rest.partition("\n\n")
    return f"{head}{_attributes(block)}{gap}{tail}"


def _formula(found: re.Match[str]) -> str:
    return f"$$\n{textwrap.dedent(found.group(1)).strip()}\n$$\n"


def _attributes(block: str) -> str:
    """Indented `name: meaning` lines as a list."""
    items: list[str] = []
    for line in textwrap.dedent(block).splitlines():
        if line[:1] not in ("", " ") and ":" in line:
            name, _, meaning = line.partition(":")
            items.append(f"* `{name}`: {meaning.strip()}")
        elif items:
            items[-1] += f" {line.strip()}"
    return "\n".join(items)
