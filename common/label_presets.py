"""Geometries of well-known label sets, with where their numbers come from.

A preset serves a data set with the same label names, whatever their order and case; a few
other spellings count as the same name (``joy`` and ``happiness``, ``neutral`` and ``none``,
the stars ``1`` to ``5``). Only differences of coordinates matter, never the origin.
"""

from collections.abc import Callable, Sequence

import numpy as np

from common.labels import LabelGeometry

_STARS = ("very negative", "negative", "neutral", "positive", "very positive")
_SAME = {
    "happiness": "joy",
    "none": "neutral",
    "no emotion": "neutral",
    **{f"{i}{unit}": name for i, name in enumerate(_STARS, 1) for unit in ("", " star", " stars")},
}


def preset(name: str, labels: Sequence[str]) -> LabelGeometry:
    """The preset for a data set: its own names in its own order.

    Args:
        name: a key of :data:`PRESETS`.
        labels: the C label names of the data set.

    Raises:
        ValueError: the preset is about other labels.
    """
    made = PRESETS[name]()
    place = {_plain(known): row for row, known in enumerate(made.names)}
    order = [place.get(_plain(label)) for label in labels]
    found = [row for row in order if row is not None]
    if sorted(found) != list(range(len(made))) or len(found) < len(order):
        wanted, got = ", ".join(made.names), ", ".join(labels)
        raise ValueError(f"name: {name} is for the labels {wanted}; the data set has {got}")
    return LabelGeometry(tuple(labels), made.points[found], made.cost[np.ix_(found, found)])


def sentiment3() -> LabelGeometry:
    """Three grades at -1, 0, 1: one step of :func:`sentiment5` between neighbours.

    Source: none but the order; equal steps are a convention.
    """
    return LabelGeometry.ordinal(_STARS[1:4], (-1, 0, 1))


def sentiment5() -> LabelGeometry:
    """Five grades or stars at -2, -1, 0, 1, 2; the same costs as 0 .. 4.

    Source: the one-dimensional coordinates of KNOT (Bhardwaj, Vaidya, Poria, COLING 2022,
    arXiv:2110.02432) in the authors' code and log; its Semantic Distance has them at 0 .. 4.
    The data set ``vader`` has positions of its own, -2.2, -1, 0, 1, 2.2 (``given``).
    """
    return LabelGeometry.ordinal(_STARS, (-2, -1, 0, 1, 2))


def knot_sentiment() -> LabelGeometry:
    """What KNOT trains five stars with: a one-hot vector beside the grade, six dimensions.

    Costs are sqrt(2 + gap^2): sqrt 3, sqrt 6, sqrt 11, sqrt 18 for gaps 1 to 4. Four stars
    of error cost 2.45 times one, not 4 times, and the labels are no line any more.

    Source: the authors' released code of KNOT (declare-lab/KNOT, sentiment part).
    """
    grades = np.arange(5.0)[:, None] - 2
    return LabelGeometry.at_points(_STARS, np.hstack([np.eye(5), grades]))


def emotion5() -> LabelGeometry:
    """KNOT's five emotions on the circumplex: (valence, arousal), each from -1 to 1.

    Source: the coordinates of KNOT's Semantic Distance in the authors' released code (its
    training cost is :func:`emotion5_one_hot`). The circumplex: Russell, *A circumplex model
    of affect*, Journal of Personality and Social Psychology 39, 1980, 1161-1178.
    """
    places = {
        "anger": (-0.4, 0.8),
        "happiness": (0.9, 0.2),
        "none": (0.0, 0.0),
        "sadness": (-0.9, -0.4),
        "surprise": (0.4, 0.9),
    }
    return LabelGeometry.at_points(tuple(places), list(places.values()))


def emotion5_one_hot() -> LabelGeometry:
    """KNOT's five emotions, every pair sqrt 2 apart: transport is sqrt 2 times total variation.

    Source: the training cost in the authors' released code of KNOT (conversation part).
    """
    names = emotion5().names
    return LabelGeometry.at_points(names, np.eye(len(names)))


def emotion7() -> LabelGeometry:
    """The seven emotions of MELD on the circumplex: (valence, arousal), each from -1 to 1.

    Mean pleasure and arousal of the terms angry, disgusted, fearful, joyful, sad, surprised
    in Russell, Mehrabian. *Evidence for a three-factor theory of emotions*, Journal of
    Research in Personality 11, 1977, 273-294; their third factor, dominance, is left out.
    Second-hand: the figures are those that most later works quote from it; some differ for joy
    (.81, .51), anger (-.43, .67) and fear (-.62, .82), and the paper itself was not at hand.
    Neutral at the origin is ours: the scales are bipolar.

    Anger and fear lie .13 apart, a seventh of the mean, since it is dominance that parts them.
    """
    places = {
        "anger": (-0.51, 0.59),
        "disgust": (-0.60, 0.35),
        "fear": (-0.64, 0.60),
        "joy": (0.76, 0.48),
        "neutral": (0.0, 0.0),
        "sadness": (-0.63, -0.27),
        "surprise": (0.40, 0.67),
    }
    return LabelGeometry.at_points(tuple(places), list(places.values()))


def nli() -> LabelGeometry:
    """Inference labels on a line: contradiction -1, neutral 0, entailment 1.

    Source: ours. KNOT reports inference too, but released no coordinates for it.
    """
    return LabelGeometry.ordinal(("contradiction", "neutral", "entailment"), (-1, 0, 1))


_ALL = (sentiment3, sentiment5, knot_sentiment, emotion5, emotion5_one_hot, emotion7, nli)
PRESETS: dict[str, Callable[[], LabelGeometry]] = {made.__name__: made for made in _ALL}
"""Every preset by its name."""


def _plain(label: str) -> str:
    """One spelling of a label name."""
    words = " ".join(label.casefold().replace("_", " ").replace("-", " ").split())
    return _SAME.get(words, words)
