"""What a verdict rests on: one arm's differences to its controls, by measure."""

from collections.abc import Mapping
from dataclasses import dataclass

from simulations.comparing.paired import Difference

FREE = ("kl", "symmetric_kl")
SPOILT = ("permuted", "discrete")
CONTROLS = FREE + SPOILT
"""What an arm with geometry is held against."""

MEASURES = ("raw", "fitted", "sharpened", "accuracy")
"""Semantic distance raw and at both temperatures, lower is better; accuracy, higher is."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one arm with geometry.

    Attributes:
        arm: its name.
        seeds: n, how many seeds were run.
        found: for a control of :data:`CONTROLS` and a measure of :data:`MEASURES`, the arm
            minus the control; a control that was not served is missing.
        missing: why a control was not served.
    """

    arm: str
    seeds: int
    found: Mapping[tuple[str, str], Difference]
    missing: Mapping[str, str]

    def best(self, measure: str) -> str:
        """The control without geometry that did better by this measure: the harder one."""
        served = [name for name in FREE if (name, measure) in self.found]
        way = -1 if measure == "accuracy" else 1
        return max(served, key=lambda name: way * self.found[name, measure].mean)

    def against_best(self, measure: str) -> Difference:
        """The arm minus that control."""
        return self.found[self.best(measure), measure]
