"""Which labels a table has, how its cells spell them, and how far apart they are."""

from collections.abc import Sequence

from common.component import component
from common.label_presets import PRESETS, preset
from common.labels import LabelGeometry
from simulations.datasets._table import name_of


@component
class Labels:
    """The labels of a table and how far apart they are.

    Attributes:
        names: the C label names.
        values: how the cells spell them, in the same order; the names without it. 3, 3.0,
            "3" and "3.0" are the same; blanks around do not count. No two labels may be spelt
            alike.
        geometry: ``ordinal`` (0, 1, ... in the order of the names), ``discrete``,
            ``points``, or a preset such as ``sentiment5``, ``emotion7`` or ``nli``.
        points: C lists of coordinates, for ``points``.
    """

    names: tuple[str, ...]
    values: tuple[str, ...] = ()
    geometry: str = "ordinal"
    points: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        known = ("ordinal", "discrete", "points", *PRESETS)
        if self.geometry not in known:
            raise ValueError(f"geometry: write one of {', '.join(known)}, got {self.geometry!r}")
        if self.values and len(self.values) != len(self.names):
            raise ValueError(f"values: {len(self.names)} are needed, one for each name")
        _check_apart("names", self.names)
        _check_apart("values", self.values)
        if bool(self.points) != (self.geometry == "points"):
            raise ValueError("points and geometry = 'points' belong together")
        self.build()

    def build(self) -> LabelGeometry:
        """The geometry of these labels."""
        if self.geometry == "ordinal":
            return LabelGeometry.ordinal(self.names)
        if self.geometry == "discrete":
            return LabelGeometry.discrete(self.names)
        if self.geometry == "points":
            return LabelGeometry.at_points(self.names, self.points)
        return preset(self.geometry, self.names)

    def spelt(self) -> dict[str, int]:
        """From a cell's spelling to the label's number."""
        return {name_of(value): i for i, value in enumerate(self.values or self.names)}


def _check_apart(setting: str, spellings: Sequence[str]) -> None:
    """No cell may mean two labels."""
    read: dict[str, str] = {}
    for spelling in spellings:
        if (name := name_of(spelling)) in read:
            raise ValueError(
                f"{setting}: {read[name]!r} and {spelling!r} are read alike; write another "
                "spelling for each label"
            )
        read[name] = spelling
