"""The gate: which answers of a round are taken, and why the others are not."""

from common.predictions import Predictions
from common.reasons import Reason, Refused
from common.records import Layout, Record, decode
from server.answers import Coded


class Admission:
    """One round's gate. The first good answer of a client wins; later ones are refused.

    What is refused leaves no trace in the round: the aggregate equals, bit for bit, the
    aggregate without that client.
    """

    def __init__(self, layout: Layout, server_round: int, expected: set[int]) -> None:
        self._layout, self._round, self._expected = layout, server_round, expected
        self.admitted: dict[int, Coded] = {}

    def admit(self, client: int, payload: bytes) -> Reason:
        """Take one answer, or say why not."""
        if client not in self._expected:
            return Reason.wrong_client
        if client in self.admitted:
            return Reason.duplicate
        try:
            record = decode(payload, self._layout, self._round, client)
        except Refused as refusal:
            return refusal.reason
        self.admitted[client] = Coded.of(record, self._layout.bits, self._layout.subclasses)
        return Reason.accepted


def predictions(record: Record, bits: int, count: int = 1) -> Predictions:
    """The probabilities that a record's integers stand for, float32.

    Args:
        record: admitted.
        bits: width of a code.
        count: S; of more than one subclass to a label the sums stand in ``probs`` and ``bias``.
    """
    return Coded.of(record, bits, count).predictions()
