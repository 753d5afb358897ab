"""The experiment: one frozen object, which says of itself whether it can run."""

import hashlib
import json
from typing import Literal

from pydantic import Field

from clients.config import ClientConfig
from common.component import component
from common.configure import dump
from common.failures import ConfigError
from server.config import ServerConfig
from server.subclasses import check_used
from simulations.caching import check_cache
from simulations.coherence import (
    check_assignment,
    check_budget,
    check_corruptions,
    check_disclosed,
    check_feedback,
)
from simulations.corruptions import Corruption
from simulations.datasets import Dataset
from simulations.hiding import check_hiding
from simulations.partitions import Partition
from simulations.partitions.natural import Natural
from simulations.secure_sum import check_secure_sum


@component
class DataConfig:
    """Which data, and how it is scattered.

    Attributes:
        dataset: where the labelled texts come from.
        num_clients: how many parties hold a part of them.
        partition: who holds what.
        transfer_fraction: share of all rows whose texts, unlabelled, are public.
        test_fraction: share of all rows that only the observer sees, after the last round;
            no effect where the data set has a published test part.
        labelled_transfer: number of transfer texts whose labels are public, drawn by seed; the
            server may learn from them and weigh clients by them. Not given: none.
        validation_size: number of labelled rows the server owns, for reporting only.
        corruptions: what is wrong with the private data of some clients, one after the other.
    """

    dataset: Dataset
    num_clients: int = Field(default=4, ge=1)
    partition: Partition = Field(default_factory=Natural)
    transfer_fraction: float = Field(default=0.25, gt=0, lt=1)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    labelled_transfer: int | None = Field(default=None, ge=1)
    validation_size: int = Field(default=200, ge=1)
    corruptions: tuple[Corruption, ...] = ()


@component
class WireConfig:
    """What the bytes look like.

    Attributes:
        bits: width of a code; 1 sends the argmax only.
        bits_down: the same of what the server says back (``server.feedback``); not given:
            ``bits``; no effect where it says nothing.
        secure_sum: whether clients send masked words, of which the server learns nothing but the
            sum over all of them. Not given: they answer in clear.
        contributors: fewest clients that anything may be told of, where sums are secure; not
            given: 2. ``k_min`` must be no less.
    """

    bits: Literal[1, 2, 4, 8, 16] = 8
    bits_down: Literal[1, 2, 4, 8, 16] | None = None
    secure_sum: bool | None = None
    contributors: int | None = Field(default=None, ge=2)

    def __post_init__(self) -> None:
        if not self.secure_sum:  # what changes nothing changes no run id
            object.__setattr__(self, "secure_sum", None)


@component
class Experiment:
    """A complete, runnable description. Equal experiments give equal results.

    Attributes:
        data: which data, and how it is scattered.
        clients: the private side.
        server: the public side.
        wire: what the bytes look like.
        num_rounds: how often the server asks.
        seed: from which every party's own seed is derived.
        k_min: fewest clients that must answer a round.
        disclose: client-derived scalars that may cross beyond the predictions.
        bounds: whether the observer also measures the teachers, their ensemble and a
            model trained on all private texts together.
        isolation: ``"process"`` for a process of its own for every task of every client, so that
            none opens two clients' stores; slower, and the same bits. ``"shared"`` lets a worker
            look after many clients in turn.
    """

    data: DataConfig
    clients: ClientConfig = Field(default_factory=ClientConfig)
    server: ServerConfig = Field(default_factory=ServerConfig)
    wire: WireConfig = Field(default_factory=WireConfig)
    num_rounds: int = Field(default=1, ge=1)
    seed: int = Field(default=7, ge=0)
    k_min: int = Field(default=1, ge=1)
    disclose: tuple[Literal["familiarity", "num_examples"], ...] = ()
    bounds: bool = False
    isolation: Literal["shared", "process"] = "shared"

    def __post_init__(self) -> None:
        if self.k_min > self.data.num_clients:
            raise ConfigError(
                f"k_min is {self.k_min} but there are only {self.data.num_clients} clients; "
                f"write k_min = {self.data.num_clients} or less"
            )
        check_corruptions(self)
        check_assignment(self)
        check_budget(self)
        check_feedback(self)
        check_disclosed(self, self.server.weighting)
        check_secure_sum(self)
        check_cache(self)
        check_hiding(self)
        if self.clients.num_subclasses > 1:
            check_used(self.server)
        if (key := self.server.needs_labels) and self.data.labelled_transfer is None:
            raise ConfigError(
                f"{key} needs known labels of some transfer texts; write for example "
                "data.labelled_transfer = 200"
            )

    @property
    def disclosed(self) -> tuple[str, ...]:
        """The declared extras of an answer: the bias if it is needed, and ``disclose``.

        None where sums are secure: clients weigh themselves, and what they need stays with them.
        """
        if self.wire.secure_sum:
            return ()
        bias = ("bias",) if "bias" in self.server.weighting.needs else ()
        return bias + self.disclose

    @property
    def bits_down(self) -> int | None:
        """Width of a code of what the server says back; None if it says nothing."""
        return None if self.server.feedback is None else self.wire.bits_down or self.wire.bits

    @property
    def run_id(self) -> str:
        """32 hex digits; the same for experiments in which the same bytes cross."""
        silent = ("bounds", "isolation")  # what changes no byte changes no run id
        table = {key: value for key, value in dump(self).items() if key not in silent}
        del table["server"]["timeouts"]
        del table["clients"]["vectorised"]
        if self.clients.bias == "mean":
            del table["clients"]["bias"]
        if table["clients"]["availability"] == {"kind": "always"}:
            del table["clients"]["availability"]
        if table["server"]["cohort"] == {"kind": "everyone"}:
            del table["server"]["cohort"]
        if "familiarity" not in self.disclose:
            del table["clients"]["familiarity"]
        drawn = table["data"]["dataset"]
        if (drawn["kind"], drawn.get("classes")) == ("vader", 5):
            del drawn["classes"]
        if not self.data.corruptions:  # what changes nothing changes no run id
            del table["data"]["corruptions"]
        text = json.dumps(table, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]
