"""Natural groups first, and within each group any other skew."""

import re
from typing import ClassVar, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Ints
from common.component import component
from common.configure import kind_of
from common.failures import ConfigError
from simulations.partitions import Partition
from simulations.partitions._deal import by_group, check_enough
from simulations.partitions.quantity import Quantity


@final
@component
class WithinGroups(Partition):
    """Each natural group is dealt to its own clients by another partition.

    With G groups and K a multiple of G, client k holds rows of group k mod G only, as in
    ``natural``; within a group the K / G clients share the rows as ``partition`` says. So
    ``{ kind = "within_groups", partition = { kind = "dirichlet" } }`` deals as
    ``natural_dirichlet`` does, to the row. Settings of ``partition`` are about one group.

    Attributes:
        partition: of the rows of a group; one that does not look at natural groups itself.
    """

    nests: ClassVar[bool] = False

    partition: Partition = Field(default_factory=Quantity)

    def __post_init__(self) -> None:
        if not self.partition.nests:
            raise ConfigError(
                f"partition = {kind_of(self.partition)!r} cannot deal the rows of "
                "one natural group; write it as data.partition itself, or 'dirichlet', 'quantity', "
                "'pathological' here"
            )

    @override
    def split(
        self, labels: Ints, groups: Ints, num_clients: int, rng: np.random.Generator
    ) -> tuple[Ints, ...]:
        check_enough(len(labels), num_clients)
        rows = by_group(groups, num_clients)
        copies = num_clients // len(rows)
        shares = self._dealt(rows, labels, copies, rng)
        return tuple(share for layer in zip(*shares, strict=True) for share in layer)

    def _dealt(
        self, rows: list[Ints], labels: Ints, copies: int, rng: np.random.Generator
    ) -> list[list[Ints]]:
        """For every group, what each of its clients holds."""
        try:
            return [self._group(own, labels, copies, rng) for own in rows]
        except ConfigError:  # what the smallest group that is refused can have, others can, too
            for own in sorted(rows, key=len):
                self._told(own, labels, (copies, len(rows)))
            raise

    def _group(self, own: Ints, labels: Ints, copies: int, rng: np.random.Generator) -> list[Ints]:
        alike = np.zeros_like(own)
        return [own[dealt] for dealt in self.partition.split(labels[own], alike, copies, rng)]

    def _told(self, own: Ints, labels: Ints, numbers: tuple[int, int]) -> None:
        """Raise what is wrong with a group, if anything is, in the words of the experiment."""
        copies, count = numbers
        try:
            self._group(own, labels, copies, np.random.default_rng(0))
        except ConfigError as error:
            raise ConfigError(_worded(str(error), copies, count)) from error


def _worded(line: str, copies: int, count: int) -> str:
    """What a partition says of one group, said of all ``count`` of them."""
    line = line.replace("data.partition.", "data.partition.partition.")
    line = line.replace(f"for {copies} clients", f"for {copies} clients of a natural group")
    if not line.startswith("data.num_clients"):
        return line
    return re.sub(
        r"(data\.num_clients = |write )(\d+)", lambda m: f"{m[1]}{int(m[2]) * count}", line
    ).replace(" cannot share", f", {copies} in each of {count} natural groups, cannot share")
