"""Streams of damaged messages of every kind but answers in clear: one judge each, one oracle.

Those are the consensus and the lists that go down, and the keys and masked words that come up. As
in :mod:`simulations.benches.fuzzer` a message is accepted if and only if the oracle finds nothing
wrong with it, and what was taken encodes to the same bytes again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from common.reasons import Reason, Refused
from simulations.benches.fuzzer import ERRORS, Findings
from simulations.benches.mutations import PLAIN

_VISIT: Final = 16  # messages until the next scene, with a judge who has seen none


class Judge(ABC):
    """A strict reader, and beside it what it should say, worked out from plain integers."""

    @abstractmethod
    def read(self, speaker: int, data: bytes) -> bytes:
        """What the reader takes out of a message, as bytes again.

        Raises:
            Refused: the reader does not take it.
        """

    @abstractmethod
    def fault(self, speaker: int, data: bytes) -> str | None:
        """What keeps ``data`` from being taken; None if it has to be."""

    def took(self, speaker: int, data: bytes) -> None:
        """Note that a message was taken where it had to be."""
        return


@dataclass(frozen=True, eq=False)
class Scene:
    """One question and what may come in answer.

    Attributes:
        good: of every speaker, messages that are in order.
        strays: messages that belong elsewhere, or are forged with care.
        judge: makes one who has seen nothing yet.
        mutations: what is done to messages, by name.
        home: where mutations take other messages from; the scene itself if None.
    """

    good: Mapping[int, list[bytes]]
    strays: list[bytes]
    judge: Callable[[], Judge]
    mutations: Mapping[str, Callable[[Random, Any, bytes], bytes]]
    home: Any = None

    def any(self, rng: Random) -> bytes:
        """Any good message."""
        return rng.choice(self.good[rng.choice(list(self.good))])


def scene(
    good: Mapping[int, list[bytes]], strays: list[bytes], judge: Callable[[], Judge]
) -> Scene:
    """A scene of messages that are no records of predictions."""
    return Scene(good, strays, judge, PLAIN)


class Stream:
    """Feeds the readers of one kind of message."""

    def __init__(self, seed: int, scenes: list[Scene], findings: Findings) -> None:
        """Begin.

        Args:
            seed: the same seed, the same messages.
            scenes: drawn from, time and again.
            findings: where it is noted.
        """
        self._random, self._scenes, self._findings = Random(seed), scenes, findings

    def feed(self, messages: int) -> None:
        """Judge so many messages more."""
        end = self._findings.inputs + messages
        while self._findings.inputs < end:
            played = self._random.choice(self._scenes)
            judge = played.judge()
            for _ in range(min(_VISIT, end - self._findings.inputs)):
                self._one(played, judge)

    def _one(self, played: Scene, judge: Judge) -> None:
        random, name = self._random, self._random.choice(list(played.mutations))
        speaker = random.choice(list(played.good))
        home = played if played.home is None else played.home
        data = played.mutations[name](random, home, random.choice(played.good[speaker]))
        self._findings.verdict(self._judged(judge, speaker, name, data))

    def _judged(self, judge: Judge, speaker: int, name: str, data: bytes) -> Reason:
        wrong, found = judge.fault(speaker, data), self._findings.found
        try:
            again = judge.read(speaker, data)
        except Refused as refusal:
            if wrong is None:
                found("refused: good", name, data)
            return refusal.reason
        except ERRORS:
            found("raised: error", name, data)
            return Reason.client_error
        if wrong is not None:
            found(f"accepted: {wrong}", name, data)
        else:
            judge.took(speaker, data)
        if again != data:
            found("accepted: encodes to something else", name, data)
        return Reason.accepted
