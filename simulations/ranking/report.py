"""A league as one page: ``report.html``, self-contained, a pure function of ``league.json``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from simulations.ranking.figures import Cast, cast, ladder, price
from simulations.ranking.files import FIGURES, figures, held_against
from simulations.ranking.standing import Arm, Standing, beaten, mean, standing
from simulations.reporting.figures import svg
from simulations.reporting.page import template

_KILO = 1000
_NONE = "\N{EN DASH}"
_MEASURES = (("accuracy", "accuracy"), ("distance", "semantic distance"))

Setting = Mapping[str, Any]
Standings = Mapping[str, Standing | None]


def build_league_report(made: Mapping[str, Any]) -> str:
    """The page as one HTML string; the same figures give the same bytes."""
    sections = [_section(made, setting) for setting in made["settings"]]
    page: str = template(Path(__file__).parent).render(
        made=made,
        overview=[section["overview"] for section in sections if section["overview"]],
        sections=sections,
        titles=("#", *FIGURES),
        idle=[section["title"] for section in sections if not section["overview"]],
    )
    return page


def _section(made: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """All that stands beneath the name of one setting."""
    standings = {measure: standing(setting, measure) for measure, _ in _MEASURES}
    drawn = cast(setting, made["references"], standings)
    heads, *held = held_against(made, setting)
    return {
        "title": setting["title"],
        "name": setting["name"],
        "skipped": setting["skipped"],
        "missing": _missing(setting),
        "share": _share(setting),
        "overview": _overview(setting, standings),
        "sentences": list(_sentences(made, setting, standings)),
        "pictures": _pictures(drawn, setting["title"]) if drawn.rows else [],
        "rows": list(_rows(setting, drawn)),
        "heads": heads,
        "held": held,
    }


def _pictures(drawn: Cast, title: str) -> list[Markup]:
    figure = price(drawn)
    first = svg(ladder(drawn), f"Accuracy and semantic distance of every arm: {title}")
    second = figure and svg(figure, f"Accuracy against bytes per client: {title}")
    return [picture for picture in (first, second) if picture]


def _rows(setting: Setting, drawn: Cast) -> Iterator[tuple[str, list[str], bool]]:
    """Number in the pictures, cells, and whether it is a bound: bounds first, then by accuracy."""
    numbers = {arm["name"]: n for n, arm in enumerate(drawn.rows, start=1)}
    unnumbered = [arm for arm in setting["arms"] if arm["name"] not in numbers]
    for arm in (*unnumbered, *drawn.rows):
        number = str(numbers.get(arm["name"], _NONE))
        yield number, figures(arm), any(arm["name"] == one["name"] for one in drawn.bounds)


def _overview(setting: Setting, standings: Standings) -> list[str] | None:
    """One line of the table on top; None where nothing competes."""
    first = standings["accuracy"]
    if first is None:
        return None
    cells = [cell for measure, _ in _MEASURES for cell in _best_of(standings[measure], measure)]
    sizes = [size for arm in (first.best, *first.tied) if (size := _size(arm)) is not None]
    told = [_size(first.best), min(sizes, default=None)]
    cells += [_NONE if size is None else f"{size:,.1f}" for size in told]
    return [setting["title"], *cells, _share(setting)]


def _best_of(found: Standing | None, measure: str) -> tuple[str, str]:
    """The best arm with its mean, and how many others may be the best."""
    if found is None:
        return _NONE, _NONE
    among = len(found.tied) + len(found.worse)
    return f"{found.best['title']} ({_told(found.best, measure)})", f"{len(found.tied)} of {among}"


def _sentences(
    made: Mapping[str, Any], setting: Setting, standings: Standings
) -> Iterator[tuple[str, str]]:
    """What a reader should know at once: heading and sentence."""
    for measure, title in _MEASURES:
        if found := standings[measure]:
            yield f"Best {title}", _best(found, measure)
    for reference in made["references"][:1]:
        yield from _better(setting, reference)
    if first := standings["accuracy"]:
        yield "What bytes buy", _bytes(first, setting)
    if setting["unmeasured"]:
        yield "Not all is measured", f"{_share(setting)} cells; the rest is named below the table."


def _best(found: Standing, measure: str) -> str:
    told = f"{found.best['title']}, {_told(found.best, measure)}. "
    among = len(found.tied) + len(found.worse)
    if not among:
        return told + "Nothing else competes."
    if not found.worse:
        return told + "Any of the others may be the best as well."
    return told + (
        f"{len(found.tied)} of {among} others may be the best as well; clearly not: "
        f"{_names(found.worse)}."
    )


def _better(setting: Setting, reference: str) -> Iterator[tuple[str, str]]:
    title = next((arm["title"] for arm in setting["arms"] if arm["name"] == reference), None)
    if title is not None:
        told = [(name, beaten(setting, reference, measure)) for measure, name in _MEASURES]
        lists = [f"In {name}: {_names(arms) or 'none'}." for name, arms in told]
        yield f"Clearly better than the reference, {title}", " ".join(lists)


def _bytes(found: Standing, setting: Setting) -> str:
    """The best arm's kilobytes, the cheapest as good, and what yardsticks take."""
    size = _size(found.best)
    if size is None:
        return "Nobody counted any."
    as_good = [arm for arm in found.tied if (_size(arm) or size) < size]
    cheapest = min(as_good, key=lambda arm: _size(arm) or size, default=None)
    told = [f"The most accurate takes {size:,.1f} kB per client, up and down."]
    if cheapest is None:
        told.append("No cheaper one may be the best.")
    else:
        told.append(
            f"The cheapest of those that may be the best takes {_size(cheapest):,.1f} kB "
            f"({cheapest['title']}, accuracy {_told(cheapest, 'accuracy')})."
        )
    for arm in setting["arms"]:
        if arm["role"] == "yardstick" and (other := _size(arm)):
            told.append(f"{arm['title']}: {other:,.1f} kB, {other / size:,.0f} times as much.")
    return " ".join(told)


def _missing(setting: Setting) -> list[str]:
    """Cells that are not there, by seeds and reason."""
    groups: dict[tuple[tuple[int, ...], str | None], list[str]] = {}
    for gap in setting["unmeasured"]:
        groups.setdefault((tuple(gap["seeds"]), gap["why"]), []).append(gap["title"])
    return [
        f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))} of "
        f"{'; '.join(titles)}" + (f" (refused: {why})" if why else "")
        for (seeds, why), titles in groups.items()
    ]


def _share(setting: Setting) -> str:
    """How many cells are measured, of how many."""
    done = sum(len(arm["seeds"]) for arm in setting["arms"])
    return f"{done} of {done + sum(len(gap['seeds']) for gap in setting['unmeasured'])}"


def _told(arm: Arm, measure: str) -> str:
    return f"{mean(arm, measure):.3f}"


def _names(arms: Sequence[Arm]) -> str:
    return "; ".join(arm["title"] for arm in arms)


def _size(arm: Arm) -> float | None:
    """Kilobytes per client, up and down."""
    found = arm["cost"].get("bytes")
    return None if found is None else float(found["mean"]) / _KILO
