"""What the shipped experiments say of themselves: the comment at the head of each file."""

import re
from dataclasses import dataclass
from typing import Any, Final

from simulations.experiment_file import SHIPPED, read, shipped

_SENTENCE = re.compile(r".*?[.?!](?=\s|$)", re.DOTALL)
_MARK = re.compile(
    r"(?:^|(?<=[.;:)] ))"
    r"(Sources?:|Source and departures:|Departures:|Figures:|(?=Figures,|Seeds? \d))\s*",
    re.MULTILINE,
)
_MEANT: Final = {
    "Source:": ("source",),
    "Sources:": ("source",),
    "Source and departures:": ("source", "departures"),
    "Departures:": ("departures",),
}
"""What a word begins; any other begins the figures, which have the rest."""


@dataclass(frozen=True)
class Header:
    """The parts of a comment, each up to the word that begins the next.

    Attributes:
        idea: what comes before all such words.
        source: after "Source:".
        departures: after "Departures:"; empty where the experiment is none of a method.
        figures: after "Figures" or "Seeds 0, 1, 2".
    """

    idea: str
    source: str = ""
    departures: str = ""
    figures: str = ""


def header(name: str) -> str:
    """The comment at the head of a shipped experiment, paragraphs as they are written."""
    kept = []
    for line in (SHIPPED / f"{name}.toml").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        kept.append(line[1:].removeprefix(" "))
    return "\n".join(kept)


def parted(text: str) -> Header:
    """A comment in its parts."""
    idea, *rest = _MARK.split(text)
    found: dict[str, str] = {}
    for mark, said in zip(rest[::2], rest[1::2], strict=True):
        for part in _MEANT.get(mark, ("figures",)):
            found[part] = f"{found[part]}\n\n{said.strip()}" if part in found else said.strip()
    return Header(idea.strip(), **found)


def methods() -> list[str]:
    """The shipped experiments that are of a method: those that say what they depart in."""
    return [name for name in shipped() if parted(header(name)).departures]


def experiments() -> list[dict[str, Any]]:
    """All of them, in the form of the members of a family: the first sentence is the manual."""
    return [_member(name) for name in shipped()]


def first_sentence(text: str) -> str:
    """On one line."""
    told = " ".join(text.split())
    found = _SENTENCE.match(told)
    return found.group(0) if found else told


def _member(name: str) -> dict[str, Any]:
    made = read(name)
    return {
        "kind": name,
        "manual": first_sentence(header(name)),
        "fields": {},
        "discloses": sorted(made.disclosed),
        "needs_public": ["labels"] if made.server.needs_labels else [],
    }
