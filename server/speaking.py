"""What the server says back: made after a round, said before the next, kept in between."""

from collections.abc import Mapping

from torch import nn

from common.arrays import Floats
from common.messages import Consensus, Question
from common.quantise import to_codes
from common.records import SERVER, Record, encode
from common.terms import Terms
from server.aggregators import Targets
from server.checkpoint import CONSENSUS
from server.feedbacks import Feedback


class Speaker:
    """Holds the one byte string that all clients of the next round are told."""

    def __init__(self, feedback: Feedback | None, terms: Terms, features: Floats) -> None:
        """Have nothing to say yet.

        Args:
            feedback: what is said; None for nothing, ever.
            terms: of the run.
            features: shape (N, D), of the shared texts, as the student reads them.
        """
        self._feedback, self._terms, self._features = feedback, terms, features
        self._payload: bytes | None = None

    def prepare(self, server_round: int, targets: Targets, student: nn.Module) -> None:
        """Find words after a round, for the next one.

        Args:
            server_round: that has ended.
            targets: T for each of the texts that it asked about.
            student: as it is now.
        """
        layout = self._terms.layout_down_of(server_round + 1)
        asked = self._terms.asked(server_round)
        if self._feedback is None or layout is None:
            return
        features = self._features if asked is None else self._features[asked]
        said = self._feedback.speak(targets, student, features)
        record = Record(server_round + 1, SERVER, to_codes(said, layout.bits))
        self._payload = encode(record, layout)

    def consensus(self, server_round: int) -> Consensus | None:
        """What is said before a round; None in the first one, and without feedback."""
        layout = self._terms.layout_down
        if self._payload is None or layout is None:
            return None
        return Consensus(Question(server_round, layout.schema, layout.binding), self._payload)

    @property
    def parts(self) -> dict[str, bytes]:
        """What a checkpoint has to hold of it."""
        return {} if self._payload is None else {CONSENSUS: self._payload}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Go back to a checkpoint."""
        self._payload = parts.get(CONSENSUS)
