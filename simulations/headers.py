"""What the shipped experiments say of themselves: the comment at the head of each file."""

import re
from typing import Any

from simulations.experiment import SHIPPED, read, shipped

_SENTENCE = re.compile(r".*?[.?!](?=\s|$)", re.DOTALL)


def header(name: str) -> str:
    """The comment at the head of a shipped experiment, paragraphs as they are written."""
    kept = []
    for line in (SHIPPED / f"{name}.toml").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        kept.append(line[1:].removeprefix(" "))
    return "\n".join(kept)


def experiments() -> list[dict[str, Any]]:
    """All of them, in the form of the members of a family: the first sentence is the manual."""
    return [_member(name) for name in shipped()]


def _member(name: str) -> dict[str, Any]:
    made, told = read(name), " ".join(header(name).split())
    first = _SENTENCE.match(told)
    return {
        "kind": name,
        "manual": first.group(0) if first else told,
        "fields": {},
        "discloses": sorted(made.disclosed),
        "needs_public": ["labels"] if made.server.needs_labels else [],
    }
