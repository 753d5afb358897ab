"""An endless stream of damaged messages to decoder and gate, and what they make of it.

A message is accepted if and only if it is one of the canonical messages to this question
(:mod:`simulations.benches.canonical`), and then encodes to the same bytes again. The gate decides
as the decoder does, but for strangers and for clients that have answered. Nothing but ``Refused``
is raised. The same message gets the same verdict.
"""

import hashlib
import struct
from collections import Counter
from random import Random
from typing import Final

from common.reasons import Reason, Refused
from common.records import Record, decode, encode
from server.admission import Admission
from simulations.benches.canonical import fault
from simulations.benches.mutations import CLIENTS, MUTATIONS, ROUND, STRANGER, World, worlds
from simulations.benches.weakened import Decoder

# Whatever else is raised ends the fuzzer, which is a finding too.
ERRORS: Final = (
    *(ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
    *(struct.error, MemoryError, AssertionError, RuntimeError, OSError),
)
_ROUND_LENGTH: Final = 16  # messages until the gate of a new round
_AGAIN: Final = 64  # of so many messages, one is judged twice
_SHOWN: Final = 20


class Findings:
    """Verdicts, and rules that were broken.

    Attributes:
        inputs: messages so far.
        reasons: how often each verdict was given.
        broken: how often each rule was broken.
        examples: the first few: rule, mutation, the message's first bytes in hexadecimal.
    """

    def __init__(self) -> None:
        self.inputs = 0
        self.reasons: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.examples: list[tuple[str, str, str]] = []
        self._digest = hashlib.sha256()

    def verdict(self, reason: Reason) -> None:
        """Count one verdict."""
        self.inputs += 1
        self.reasons[reason.name] += 1
        self._digest.update(bytes([reason]))

    def found(self, rule: str, mutation: str, data: bytes) -> None:
        """Note a broken rule."""
        self.broken[rule] += 1
        if len(self.examples) < _SHOWN:
            self.examples.append((rule, mutation, data[:256].hex()))

    @property
    def decisions(self) -> str:
        """A hash of all verdicts in order."""
        return self._digest.hexdigest()


class Fuzzer:
    """Feeds one decoder and one kind of gate."""

    def __init__(
        self, seed: int, decoder: Decoder = decode, gate: type[Admission] = Admission
    ) -> None:
        """Draw the worlds.

        Args:
            seed: the same seed, the same messages.
            decoder: what is tested; a gate has its own.
            gate: what is tested.
        """
        self._random = Random(seed)  # small draws by the million: numpy is slower at these
        self._worlds, self._decoder, self._gate = worlds(seed), decoder, gate
        self._names = list(MUTATIONS)
        self.findings = Findings()

    def feed(self, messages: int) -> None:
        """Judge so many messages more, in rounds of sixteen."""
        end = self.findings.inputs + messages
        while self.findings.inputs < end:
            world = self._random.choice(self._worlds)
            admission = self._gate(world.layout, ROUND, set(CLIENTS))
            for _ in range(min(_ROUND_LENGTH, end - self.findings.inputs)):
                self._one(world, admission)

    def _one(self, world: World, admission: Admission) -> None:
        random, name = self._random, self._random.choice(self._names)
        client = random.choice(CLIENTS) if random.random() < 0.97 else STRANGER
        data = MUTATIONS[name](random, world, random.choice(world.good[client]))
        reason = self._decoded(world, client, name, data)
        if client not in CLIENTS:
            reason = Reason.wrong_client
        elif client in admission.admitted:
            reason = Reason.duplicate
        verdict = admission.admit(client, data)
        if reason not in (verdict, None):
            self.findings.found("gate", name, data)
        self.findings.verdict(verdict)

    def _decoded(self, world: World, client: int, name: str, data: bytes) -> Reason | None:
        """The decoder's verdict, after the rules were held against it; None if it raised."""
        wrong = fault(data, world.layout, ROUND, client)
        reason, record = self._judged(world, client, data)
        found = self.findings.found
        if reason is None:
            found("raised: error", name, data)
        elif record is None and wrong is None:
            found("refused: good", name, data)
        elif record is not None and wrong is not None:
            found(f"accepted: {wrong}", name, data)
        if record is not None and encode(record, world.layout) != data:
            found("accepted: encodes to something else", name, data)
        again = self.findings.inputs % _AGAIN == 0
        if again and self._judged(world, client, bytes(bytearray(data)))[0] is not reason:
            found("not the same verdict", name, data)
        return reason

    def _judged(
        self, world: World, client: int, data: bytes
    ) -> tuple[Reason | None, Record | None]:
        try:
            return Reason.accepted, self._decoder(data, world.layout, ROUND, client)
        except Refused as refusal:
            return refusal.reason, None
        except ERRORS:
            return None, None
