"""Did geometry do anything that a temperature does not? One sentence per arm.

**The rule.** An arm that uses geometry is held, seed by seed, against arms of the same
weighting on the same predictions: ``kl`` and ``symmetric_kl``, which know no geometry, and
itself with the labels ``permuted`` and with ``discrete`` costs. Four measures are compared:
semantic distance raw, at each arm's own temperature fitted for likelihood, at each arm's own
temperature fitted for distance, and accuracy. *Geometry did something* only if, at both
fitted temperatures, the interval of the difference lies below zero against the better of the
two controls without geometry **and** against permuted labels. Intervals are those of
:mod:`simulations.comparing.paired`, corrected over all comparisons of the report.

Otherwise the sentence names what explains the gain. A control *explains* it if, by the
means, less than half of the gain is left over it; if more is left but the interval holds
zero, the sentence says that it is not shown, which is not the same as nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from simulations.comparing.evidence import FREE, Evidence
from simulations.comparing.paired import Difference

_AT = {"fitted": "fitted for likelihood", "sharpened": "fitted for distance"}


@dataclass(frozen=True)
class Verdict:
    """What is said of one arm.

    Attributes:
        finding: one of ``geometry``, ``sharpening``, ``permuted``, ``control``, ``worse``,
            ``same``, ``nothing``, ``undecided``, ``one_seed``, ``no_control``.
        sentence: the same with figures.
    """

    finding: str
    sentence: str

    @property
    def did_something(self) -> bool | None:
        """Whether geometry did what its controls do not; None where nothing can be said."""
        return None if self.finding in ("one_seed", "no_control") else self.finding == "geometry"


def verdict(evidence: Evidence) -> Verdict:
    """The one sentence about an arm that uses geometry; see the rule above."""
    for rule in _RULES:
        if (found := rule(evidence)) is not None:
            finding, words = found
            return Verdict(finding, f"{evidence.arm}: {words}{_accuracy(evidence, finding)}.")
    raise AssertionError("the last rule always speaks")


def _no_control(evidence: Evidence) -> tuple[str, str] | None:
    if not any((name, "raw") in evidence.found for name in FREE):
        return "no_control", f"no verdict, for neither {' nor '.join(FREE)} could be trained"
    if ("permuted", "raw") not in evidence.found:
        why = evidence.missing.get("permuted", "not run")
        return "no_control", f"no verdict, for the control with permuted labels is missing ({why})"
    return None


def _one_seed(evidence: Evidence) -> tuple[str, str] | None:
    if evidence.seeds > 1:
        return None
    best, measures = evidence.best("fitted"), ("raw", "fitted", "sharpened")
    figures = (f"{evidence.found[best, m]} {_where(m)}" for m in measures)
    permuted = evidence.found["permuted", "fitted"]
    return "one_seed", (
        f"one seed says nothing about variance; its distance to {best}'s is {', '.join(figures)}, "
        f"and {permuted} with permuted labels at the temperature {_AT['fitted']}"
    )


def _same(evidence: Evidence) -> tuple[str, str] | None:
    for name in ("permuted", *FREE):
        if all(evidence.found[key].is_zero for key in evidence.found if key[0] == name):
            if not any(key[0] == name for key in evidence.found):
                continue
            return "same", (
                f"the very figures of {_called(name)} in every seed: there is no geometry in it"
            )
    return None


def _geometry(evidence: Evidence) -> tuple[str, str] | None:
    if _failures(evidence, "best") or _failures(evidence, "permuted"):
        return None
    over = [f"{evidence.against_best(m)} to {evidence.best(m)}, {_AT[m]}" for m in _AT]
    under = [f"{evidence.found['permuted', m]}" for m in _AT]
    return "geometry", (
        f"geometry did something: at a fitted temperature its distance is lower still "
        f"({'; '.join(over)}), and lower than with permuted labels ({'; '.join(under)})"
        f"{_discrete(evidence)}"
    )


def _worse(evidence: Evidence) -> tuple[str, str] | None:
    raw = evidence.against_best("raw")
    if not raw.higher:
        return None
    return "worse", (
        f"higher raw distance than {evidence.best('raw')} by {_size(raw)} "
        f"({_fitted(evidence, evidence.against_best)}): geometry did not help"
    )


def _gain(evidence: Evidence) -> tuple[str, str] | None:
    """The raw distance is lower; what else gives as much?"""
    raw = evidence.against_best("raw")
    if not raw.lower:
        return None
    heat, order = _failures(evidence, "best"), _failures(evidence, "permuted")
    parts = [f"not clearly at the temperature {_list(evidence, heat)}"] if heat else []
    parts += [f"not clearly than with permuted labels ({_order(evidence, order)})"] if order else []
    finding, conclusion = _conclusion(evidence, heat, order)
    return finding, (
        f"lower raw distance than {evidence.best('raw')} by {_size(raw)}, "
        f"but {' and '.join(parts)}: {conclusion}"
    )


def _control(evidence: Evidence) -> tuple[str, str] | None:
    """Lower than one control without geometry, not than the other."""
    best = evidence.best("raw")
    others = [name for name in FREE if name != best and (name, "raw") in evidence.found]
    if not others or not (gain := evidence.found[others[0], "raw"]).lower:
        return None
    rest = evidence.against_best("raw")
    explained = _explains(rest, gain)
    share = "as much" if rest.mean >= 0 else "most of it"
    said = f"{best}, which knows no geometry, gives {share}" if explained else _unsure(evidence)
    return "control" if explained else "undecided", (
        f"lower raw distance than {others[0]} by {_size(gain)}, but not clearly than {best} "
        f"({rest}; {_list(evidence, list(_AT))}): {said}"
    )


def _nothing(evidence: Evidence) -> tuple[str, str] | None:
    return "nothing", (
        f"no raw difference to {evidence.best('raw')} that {evidence.seeds} seeds can show "
        f"({evidence.against_best('raw')}; {_fitted(evidence, evidence.against_best)}; permuted "
        f"labels {evidence.found['permuted', 'raw']} raw): geometry did nothing that can be seen"
    )


_RULES: tuple[Callable[[Evidence], tuple[str, str] | None], ...] = (
    _no_control,
    _one_seed,
    _same,
    _geometry,
    _worse,
    _gain,
    _control,
    _nothing,
)


def _failures(evidence: Evidence, against: str) -> list[str]:
    """At which fitted temperatures the distance is not shown to be lower."""
    return [m for m in _AT if not _against(evidence, against, m).lower]


def _against(evidence: Evidence, against: str, measure: str) -> Difference:
    if against == "best":
        return evidence.against_best(measure)
    return evidence.found[against, measure]


def _conclusion(evidence: Evidence, heat: list[str], order: list[str]) -> tuple[str, str]:
    raw = evidence.against_best("raw")
    if any(_explains(evidence.against_best(m), raw) for m in heat):
        return "sharpening", "sharpening, not geometry"
    if any(_explains(evidence.found["permuted", m], evidence.against_best(m)) for m in order):
        return "permuted", "another order of the labels gives most of it: not geometry"
    return "undecided", _unsure(evidence)


def _explains(rest: Difference, gain: Difference) -> bool:
    """Whether, by the means, less than half of a gain is left."""
    return gain.mean >= 0 or rest.mean > gain.mean / 2


def _unsure(evidence: Evidence) -> str:
    return f"{evidence.seeds} seeds do not show that it is geometry, nor that it is not"


def _list(evidence: Evidence, measures: list[str]) -> str:
    return " or ".join(
        f"{_AT[m]} ({evidence.against_best(m)} to {evidence.best(m)})" for m in measures
    )


def _order(evidence: Evidence, measures: list[str]) -> str:
    return ", ".join(f"{evidence.found['permuted', m]} {_AT[m]}" for m in measures)


def _fitted(evidence: Evidence, against: Callable[[str], Difference]) -> str:
    return ", ".join(f"{against(m)} {_AT[m]}" for m in _AT)


def _discrete(evidence: Evidence) -> str:
    if ("discrete", "fitted") not in evidence.found:
        return ""
    figures = [evidence.found["discrete", m] for m in _AT]
    if all(figure.lower for figure in figures):
        return ""
    written = ", ".join(map(str, figures))
    return f", though not shown to be lower than with all labels equally far apart ({written})"


def _accuracy(evidence: Evidence, finding: str) -> str:
    """What it costs, or brings, in accuracy, where that can be told from zero."""
    if finding in ("one_seed", "no_control", "same"):
        return ""
    best = evidence.best("accuracy")
    change = evidence.found[best, "accuracy"]
    if not (change.lower or change.higher):
        return ""
    way = "lower" if change.lower else "higher"
    return f"; its accuracy is {way} than that of {best} by {_size(change)}"


def _size(change: Difference) -> str:
    return f"{change}"[1:]


def _where(measure: str) -> str:
    return "raw" if measure == "raw" else f"at the temperature {_AT[measure]}"


def _called(name: str) -> str:
    return "permuted labels" if name == "permuted" else name
