"""What a method is made of: the rules that its experiment chooses, and what each says of itself."""

import inspect
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from common.configure import dump, kind_of
from simulations.catalogue import FAMILIES
from simulations.experiment import Experiment
from simulations.experiment_file import SHIPPED
from simulations.manuals import plain

_ALWAYS: Final = ("server.loss", "server.weighting", "server.aggregator")
_CHOSEN: Final = (
    "server.geometry",
    "server.reweighting",
    "server.pretraining",
    "server.fine_tuning",
    "server.schedule",
    "server.feedback",
    "server.cache",
    "server.cohort",
    "server.hiding",
    "clients.refinement",
    "clients.subclasses",
    "clients.familiarity",
    "clients.mechanism",
)
PLATFORM: Final = (
    "clients.teacher",
    "clients.encoder",
    "clients.blanks",
    "server.student",
)
"""What a method is shown on, and could be exchanged."""

_ELSEWHERE: Final = {
    "server.pretraining": "algorithms/knot.md",
    "server.fine_tuning": "guide.md#every-key",
    "server.schedule": "guide.md#every-key",
    "clients.subclasses": "algorithms/lelp.md",
    "clients.familiarity": "algorithms/weightings.md#familiarity",
}
_END = re.compile(r"(?:Departures|References?|Example)\b|\* `|[A-Z]\w*:\n")


@dataclass(frozen=True)
class Part:
    """One rule of a method.

    Attributes:
        key: where the experiment sets it.
        family: that it is of; empty where it is of none.
        kind: by which it is called; empty where there is only one.
        settings: all of them.
        manual: its docstring as Markdown.
        page: where the whole manual is, from docs/.
    """

    key: str
    family: str
    kind: str
    settings: dict[str, Any]
    manual: str
    page: str

    @property
    def title(self) -> str:
        """What it is and its kind."""
        what = self.key.partition(".")[2]
        return f"{what} `{self.kind}`" if self.kind else what

    @property
    def gist(self) -> str:
        """The idea, and the formula with the words that explain it."""
        kept = _paragraphs(self.manual)
        kept = kept[: next((n for n, one in enumerate(kept) if _END.match(one)), len(kept))]
        shown = [n for n, one in enumerate(kept[:3]) if "$" in one]
        return "\n\n".join(kept[: shown[0] + 2] if shown else kept[:2])

    @property
    def departures(self) -> str:
        """What it does unlike its source; empty where it says nothing of it."""
        return "\n\n".join(one for one in _paragraphs(self.manual) if one.startswith("Departures"))


def parts(name: str, experiment: Experiment) -> list[Part]:
    """The rules of a shipped experiment, losses and weightings first."""
    table = tomllib.loads((SHIPPED / f"{name}.toml").read_text("utf-8"))
    return [_part(key, attrgetter(key)(experiment)) for key in _keys(table)]


def _keys(table: dict[str, Any]) -> Iterator[str]:
    yield from _ALWAYS
    for key in _CHOSEN:
        side, _, what = key.partition(".")
        if what in table.get(side, {}):
            yield key


def _part(key: str, rule: Any) -> Part:
    family = next((name for name, base in FAMILIES.items() if isinstance(rule, base)), "")
    kind = kind_of(rule) if family else ""
    page = f"components/{family}.md#{kind}" if family else _ELSEWHERE[key]
    return Part(key, family, kind, dump(rule), plain(inspect.getdoc(type(rule)) or ""), page)


def _paragraphs(text: str) -> list[str]:
    return re.split(r"\n{2,}", text.strip())
