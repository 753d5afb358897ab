"""Flower adapter: the coordinator as a strategy of Flower's Message API."""

import time
from collections.abc import Callable, Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from typing_extensions import override

from common.messages import Question
from common.reasons import Reason, Refused
from common.wire import (
    ENCODE,
    HELLO,
    PREDICT,
    TEACHER,
    client_id,
    framed,
    pack_question,
    unpack_answers,
    unpack_hello,
    unpack_refusal,
    unpack_status,
)
from server.coordinator import Coordinator, Progress

_POLL_SECONDS = 0.05
_CONNECT_SECONDS = 300.0
_NO_ARRAYS = ArrayRecord()


class FederatedDistillation(Strategy):
    """Asks for predictions and learns from them; no model arrays go down or come up.

    Before the first round the clients compute features and train their teachers, in two
    exchanges of their own, so that each phase can be watched. Clients are addressed by
    their own ids, many to a message: client k lives on the node of partition k mod n.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        progress: Progress,
        timeout: float,
        reach: Callable[[str, int], None] = lambda phase, server_round: None,
        committed: int = 0,
    ) -> None:
        """Start with no node known.

        Args:
            coordinator: who asks, judges and learns.
            progress: told (phase, done, total).
            timeout: seconds for one exchange with the clients.
            reach: told of each phase and round, where a test may want a fault.
            committed: rounds that an earlier process has done; Flower counts from 1 again.
        """
        self._coordinator, self._progress, self._timeout = coordinator, progress, timeout
        self._reach, self._committed = reach, committed
        self._nodes: dict[int, int] = {}
        self._partitions = 0
        self._carrier = coordinator.carrier
        self._question: Question | None = None

    @override
    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        del arrays, config  # Flower offers the student for download; we send a question
        self._question = question = self._coordinator.ask(self._committed + server_round)
        if not self._nodes:
            self._hello(grid)
            known = self._carrier.ready  # by an earlier process; they load what they stored
            everybody = set(self._coordinator.clients) if known is None else known
            encoded = self._phase(grid, "encode", ENCODE, question, everybody)
            self._carrier.ready = self._phase(grid, "teachers", TEACHER, question, encoded)
        self._reach("asked", question.round)
        self._started = time.monotonic()
        self._progress("predict", 0, len(self._ready))
        self._coordinator.sent(question, self._ready)
        return self._messages(question, PREDICT, self._ready)

    @override
    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        assert self._question is not None, "Flower configures before it aggregates"
        silent = set(self._ready)
        for reply in replies:
            silent -= self._asked(reply)
            self._admit(reply, self._question)
        self._exclude(silent, Reason.timeout)
        self._carrier.seconds["predict"] += time.monotonic() - self._started
        total = len(self._coordinator.clients)
        self._progress("predict", total, total)
        self._reach("answered", self._question.round)
        self._coordinator.learn(self._question)
        self._reach("learned", self._question.round)
        return None, None

    @override
    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        return []

    @override
    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        return None

    @override
    def summary(self) -> None:
        """Flower logs this at the start; ours is in the experiment file."""

    @property
    def _ready(self) -> set[int]:
        """The clients that have a teacher and are asked."""
        return self._carrier.ready or set()

    def _hello(self, grid: Grid) -> None:
        """Learn which of Flower's random node ids is which partition; the silent are left out."""
        nodes = _connected(grid)
        known: dict[int, int] = {}

        def note(reply: Message) -> None:
            known[unpack_hello(reply.content)] = reply.metadata.src_node_id

        question = Question(0, 0, bytes(32))
        empty = pack_question(question, "", [])
        self._exchange(grid, [Message(empty, n, HELLO, ttl=self._timeout) for n in nodes], note)
        self._partitions = len(nodes)
        self._nodes = {p: node for p, node in sorted(known.items()) if 0 <= p < len(nodes)}

    def _phase(
        self, grid: Grid, name: str, kind: str, question: Question, clients: set[int]
    ) -> set[int]:
        """Have ``clients`` do a task; return those that say they did it."""
        started = time.monotonic()
        status: dict[int, Reason] = {}

        def note(reply: Message) -> None:
            own = self._owned(reply.metadata.src_node_id)
            said = unpack_status(reply.content)
            status.update({client: code for client, code in said.items() if client in own})
            self._progress(name, len(status), len(clients))

        self._progress(name, 0, len(clients))
        self._exchange(grid, self._messages(question, kind, clients), note)
        for client in clients - {c for c, code in status.items() if code is Reason.accepted}:
            self._coordinator.exclude(client, status.get(client, Reason.crashed))
        self._carrier.seconds[name] += time.monotonic() - started
        return {c for c in clients if status.get(c) is Reason.accepted}

    def _messages(self, question: Question, kind: str, clients: set[int]) -> list[Message]:
        """One message a node, naming the logical clients that are to act."""
        group, made = str(question.round), []
        for node in self._nodes.values():
            own = sorted(clients & self._owned(node))
            if own:
                content = pack_question(question, self._coordinator.site, own)
                made.append(Message(content, node, kind, ttl=self._timeout, group_id=group))
        return made

    def _exchange(
        self, grid: Grid, messages: list[Message], note: Callable[[Message], None]
    ) -> None:
        """Send, and hand every good reply to ``note`` as it arrives, until all are in."""
        waiting = set(grid.push_messages(messages))
        end = time.monotonic() + self._timeout
        while waiting and time.monotonic() < end:
            for reply in grid.pull_messages(waiting):
                waiting.discard(reply.metadata.reply_to_message_id)
                if not reply.has_error():
                    _quietly(note, reply)
            time.sleep(_POLL_SECONDS)

    def _admit(self, reply: Message, question: Question) -> None:
        """Judge every answer in a reply; a reply that is not one is dropped whole."""
        asked = self._asked(reply)
        if reply.has_error():
            self._exclude(asked, Reason.crashed)
            return
        try:
            refusal = unpack_refusal(reply.content)
            answers = {} if refusal else unpack_answers(reply.content, question.round)
            named = {client_id(name): payload for name, payload in answers.items()}
        except Refused as broken:
            whole = framed(reply.content)
            for client in asked:
                self._coordinator.refuse(question, client, whole, broken.reason)
            return
        self._carrier.envelope_bytes += len(framed(reply.content)) - sum(map(len, named.values()))
        for client in named.keys() - asked:
            self._coordinator.refuse(question, client, named[client], Reason.wrong_client)
        for client in asked - named.keys():
            self._coordinator.exclude(client, refusal.get(client, Reason.client_error))
        for client in asked & named.keys():
            self._coordinator.admit(question, client, named[client])

    def _exclude(self, clients: set[int], reason: Reason) -> None:
        for client in clients:
            self._coordinator.exclude(client, reason)

    def _asked(self, reply: Message) -> set[int]:
        """The logical clients that a reply to the question may speak for."""
        return self._owned(reply.metadata.src_node_id) & self._ready

    def _owned(self, node: int) -> set[int]:
        """The logical clients that live on a node."""
        mine = [partition for partition, other in self._nodes.items() if other == node]
        return {c for c in self._coordinator.clients if c % self._partitions in mine}


def _connected(grid: Grid) -> list[int]:
    """The nodes, once there are some and no more come."""
    nodes: list[int] = []
    end = time.monotonic() + _CONNECT_SECONDS
    while time.monotonic() < end:
        before, nodes = nodes, list(grid.get_node_ids())
        if nodes and len(nodes) == len(before):
            break
        time.sleep(2 * _POLL_SECONDS)
    return nodes


def _quietly(note: Callable[[Message], None], reply: Message) -> None:
    """A reply that breaks the contract counts as none."""
    try:
        note(reply)
    except Refused:
        return
