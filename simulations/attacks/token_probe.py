"""Texts of one word each, and what answers about them say of a client's vocabulary."""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from clients.teachers import Teacher
from clients.teachers.sklearn import Sklearn
from clients.vetting import Vetting
from common.arrays import Floats
from common.component import component
from common.configure import kind_of
from common.transfer import TransferSet
from simulations.attacks import Attack, Finding
from simulations.attacks._figures import Masks, curve
from simulations.attacks._scene import Scene

_WORD = re.compile(r"\b\w\w+\b")

OPEN = Vetting(max_probes=1, max_copies=1, max_alike=1, max_family=1, max_overlap=1)
"""What a client bears with that looks at nothing."""


@final
@component
class TokenProbe(Attack):
    """A malicious server asks about single words; a word counted in training changes the answer.

    Against bags of words this reads the vocabulary of a shard off exactly; played on the
    experiment's teacher if it reads texts, else on ``sklearn`` with single words, to show what
    vetting is for. The gate fails if the experiment's clients would train for such texts.
    Reference: design notes of the project; the idea is that of active probes, Zanella-Beguelin et
    al. *Analyzing Information Leakage of Updates to Natural Language Models*, CCS 2020.

    Attributes:
        probes: words that are asked about.
    """

    probes: int = Field(default=300, ge=2)

    @override
    def obstacle(self, scene: Scene) -> str | None:
        if find_spec("sklearn") is None:
            return "it needs scikit-learn; write pip install 'fedknot[sklearn]'"
        if kind_of(scene.game.encoder) == "numbers":
            return "the texts are pictures, and have no vocabulary"
        return None

    @override
    def run(self, scene: Scene) -> list[Finding]:
        game = scene.game
        rows = np.flatnonzero(scene.inside[0])
        private = [game.pool.texts[row] for row in rows]
        asked, truth = self._words(private, scene)
        probes = TransferSet(("", *asked))
        recipe: Teacher = game.recipe if game.recipe.reads == "texts" else Sklearn(ngrams=1)
        teacher = recipe.fit(private, game.pool.labels[rows], game.num_labels, game.rng("probe"))
        raw = teacher.predict(probes.texts)
        figures: dict[str, Any] = {"probes": len(asked), "teacher": kind_of(recipe)}
        for seen in scene.rows:
            if seen.defence.mechanism is None:
                told = seen.defence.release(raw, game.rng("alter", "probe", seen.defence.name))
                figures[seen.defence.name] = _found(told, truth)
        return [self._judged(figures, probes, private, scene)]

    def _judged(
        self, figures: dict[str, Any], probes: TransferSet, private: list[str], scene: Scene
    ) -> Finding:
        vetting = scene.game.experiment.clients.vetting
        objection = vetting.objection(probes, private)
        figures |= {"refused": objection is not None, "objection": objection}
        figures["passes_unvetted"] = OPEN.objection(probes, private) is None
        first = next(seen.defence.name for seen in scene.rows if seen.defence.control)
        verdict = "these clients refuse them" if objection else "THESE CLIENTS WOULD ANSWER THEM"
        sentence = (
            f"Asked about single words, a bag-of-words teacher betrays {figures[first]:.0%} of its "
            f"shard's words without one false alarm; {verdict}."
        )
        fault = ""
        if objection is None:
            fault = (
                "clients.vetting lets a transfer set of single words pass; write stricter limits"
            )
        return Finding("token_probe", scene.own.defence.name, "probes", figures, sentence, fault)

    def _words(self, private: list[str], scene: Scene) -> tuple[tuple[str, ...], Masks]:
        """Words to ask about, drawn from everybody's texts, and whether the shard has them."""
        game = scene.game
        held = _words_of(private)
        known = sorted(_words_of((*game.pool.texts, *game.shared.texts)))
        order = game.rng("words").permutation(len(known))[: self.probes]
        asked = tuple(known[k] for k in sorted(order))
        return asked, np.array([word in held for word in asked])


def _words_of(texts: Sequence[str]) -> set[str]:
    """Runs of letters and digits, in lower case: words to whoever counts words."""
    return {word for text in texts for word in _WORD.findall(text.lower())}


def _found(told: Floats, truth: Masks) -> float:
    """The share of the shard's words that stand out without one false alarm.

    Args:
        told: shape (1 + probes, C); the first row is about the empty text.
        truth: shape (probes,), bool.
    """
    away = np.abs(told[1:].astype(np.float64) - told[0]).sum(axis=1)
    if not truth.any() or truth.all():
        return 0.0
    return float(curve(away, truth, np.ones((1, len(away))), (0.0,)).tpr[0, 0])
