"""The messages of the protocol: read this file to see all that is said, asked and answered.

What an answer's bytes hold is in :mod:`common.records`; how both travel in Flower's
messages is in :mod:`common.wire`.
"""

import hashlib
import struct
from dataclasses import dataclass

_QUESTION = struct.Struct("<4sH2xI32s")


@dataclass(frozen=True)
class Question:
    """The server asks what a client makes of the agreed transfer set.

    The texts are agreed beforehand and pinned by hash; a question cannot name others.

    Attributes:
        round: 1 for the first round.
        schema: the layout in which the answer is expected.
        binding: 32 bytes, what the server believes was agreed on.
    """

    round: int
    schema: int
    binding: bytes

    @property
    def payload(self) -> bytes:
        """The canonical bytes of the question, as counted and logged."""
        return _QUESTION.pack(b"FKQ1", self.schema, self.round, self.binding)


@dataclass(frozen=True)
class Consensus:
    """What the server says of the shared texts, before it asks once more what clients say.

    Nothing goes down in the first round, and nothing at all unless the run has a feedback.

    Attributes:
        question: round, schema and binding, as of a question.
        payload: one record (:mod:`common.records`) of schema 4.
    """

    question: Question
    payload: bytes


@dataclass(frozen=True)
class Answer:
    """One client's soft predictions.

    Attributes:
        client: the client's id, the same from round to round.
        payload: one record (:mod:`common.records`).
    """

    client: int
    payload: bytes


def sha256(payload: bytes) -> str:
    """The hash under which both sides log a payload."""
    return hashlib.sha256(payload).hexdigest()
