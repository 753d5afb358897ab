"""The gate: which answers of a round are taken, and why the others are not."""

import numpy as np

from common.predictions import Predictions
from common.quantise import to_probs
from common.reasons import Reason, Refused
from common.records import Layout, Record, decode


class Admission:
    """One round's gate. The first good answer of a client wins; later ones are refused.

    What is refused leaves no trace in the round: the aggregate equals, bit for bit, the
    aggregate without that client.
    """

    def __init__(self, layout: Layout, server_round: int, expected: set[int]) -> None:
        self._layout, self._round, self._expected = layout, server_round, expected
        self.admitted: dict[int, Predictions] = {}

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
        self.admitted[client] = predictions(record, self._layout.bits)
        return Reason.accepted


def predictions(record: Record, bits: int) -> Predictions:
    """The probabilities that a record's integers stand for, float32."""
    bias = None if record.bias is None else to_probs(record.bias, bits)
    scalar = None if record.scalar is None else to_probs(record.scalar, bits)
    probs = np.ascontiguousarray(to_probs(record.codes, bits))
    return Predictions(probs, bias, record.num_examples, scalar)
