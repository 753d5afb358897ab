"""What crossed between a server and its clients, message by message."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Crossing:
    """One exchange with one client.

    Attributes:
        round: from 1.
        client: its id.
        bytes_down: of the model's arrays as Flower serialises them, to the client.
        bytes_up: likewise, from the client.
        envelope_down: what the message's content weighs beside these.
        envelope_up: likewise.
    """

    round: int
    client: int
    bytes_down: int
    bytes_up: int
    envelope_down: int
    envelope_up: int


@dataclass(frozen=True)
class Traffic:
    """Everything that crossed in one federation.

    Attributes:
        crossings: in the order of rounds and, within one, of clients.
        num_clients: K, also of those that were never asked.
        num_rounds: R.
        parameters: trainable ones of the model.
    """

    crossings: tuple[Crossing, ...]
    num_clients: int
    num_rounds: int
    parameters: int

    @property
    def formula_bytes_per_client(self) -> int:
        """2 x 4 x parameters x rounds: up and down, no header, everybody asked every time."""
        return 2 * 4 * self.parameters * self.num_rounds

    def per_client(self, count: Callable[[Crossing], int]) -> float:
        """A sum over all rounds, as the mean over the K clients."""
        return sum(map(count, self.crossings)) / self.num_clients

    def table(self) -> dict[str, Any]:
        """The same as JSON; every exchange on a line of its own."""
        return {
            "parameters": self.parameters,
            "num_clients": self.num_clients,
            "bytes_down_per_client": self.per_client(lambda c: c.bytes_down),
            "bytes_up_per_client": self.per_client(lambda c: c.bytes_up),
            "envelope_down_per_client": self.per_client(lambda c: c.envelope_down),
            "envelope_up_per_client": self.per_client(lambda c: c.envelope_up),
            "formula_bytes_per_client": self.formula_bytes_per_client,
            "crossings": [vars(crossing) for crossing in self.crossings],
        }
