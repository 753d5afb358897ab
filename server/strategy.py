"""Flower adapter: the coordinator as a strategy of Flower's Message API."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from typing_extensions import override

from common.messages import Question
from common.reasons import Reason, Refused
from common.rosters import Roster
from common.wire import (
    ENCODE,
    HELLO,
    KEY,
    MASK,
    PREDICT,
    REFINE,
    TEACHER,
    client_id,
    framed,
    pack_consensus,
    pack_question,
    pack_roster,
    unpack_answers,
    unpack_asked,
    unpack_hello,
    unpack_keys,
    unpack_refusal,
    unpack_status,
)
from server.coordinator import Coordinator, Progress
from server.patience import TTL_SECONDS, PatientGrid

_CONNECT_SECONDS = 300.0
_LOOK_SECONDS = 0.1
_UNREACHED = (
    ErrorCode.MESSAGE_UNAVAILABLE,
    ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
    ErrorCode.NODE_UNAVAILABLE,
)
_NO_ARRAYS = ArrayRecord()


class FederatedDistillation(Strategy):
    """Asks for predictions and learns from them; no model arrays go down or come up.

    Before they are asked for the first time clients compute features and train their teachers,
    in two exchanges of their own, so that each phase can be watched. In runs with a feedback,
    later rounds begin with one more: what the server says back, which teachers learn. Clients are
    addressed by their own ids, many to a message: client k lives on the node of partition k mod n.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        progress: Progress,
        reach: Callable[[str, int], None] = lambda phase, server_round: None,
        committed: int = 0,
    ) -> None:
        """Start with no node known.

        Args:
            coordinator: who asks, judges and learns.
            progress: told (phase, done, total).
            reach: told of each phase and round, where a test may want a fault.
            committed: rounds that an earlier process has done; Flower counts from 1 again.
        """
        self._coordinator, self._progress = coordinator, progress
        self._reach, self._committed = reach, committed
        self._nodes: dict[int, int] = {}
        self._partitions = 0
        self._carrier = coordinator.carrier
        self._question: Question | None = None
        self._out: set[int] = set()  # of this round, having failed over what was said
        self._grid: PatientGrid | None = None

    @override
    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        del arrays, config  # Flower offers the student for download; we send a question
        assert isinstance(grid, PatientGrid), "an impatient grid would lose clients"
        self._grid = grid
        self._question = question = self._coordinator.ask(self._committed + server_round)
        self._out = set()
        if not self._nodes:
            self._hello(grid)
        self._prepare(grid, question)
        self._reach("asked", question.round)
        self._refine(grid, question)
        self._started = time.monotonic()
        self._progress("predict", 0, len(self._ready))
        if self._coordinator.summing is not None:
            return []  # several exchanges, some perhaps twice: all when these are aggregated
        self._coordinator.sent(question, self._ready)
        return self._messages(PREDICT, self._ready, lambda own: self._asking(question, own))

    @override
    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        question, grid = self._question, self._grid
        assert question is not None, "Flower configures before it aggregates"
        assert grid is not None, "Flower configures before it aggregates"
        self._log_late(grid)
        if self._coordinator.summing is not None:
            self._add_up(grid, question)
        elif missing := self._gather(grid, question, replies, self._ready):
            self._ask_again(grid, question, set(missing))
        self._carrier.spend("predict", time.monotonic() - self._started)
        total = len(self._coordinator.cohort)
        self._progress("predict", total, total)
        self._reach("answered", question.round)
        self._coordinator.learn(question)
        self._reach("learned", question.round)
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

    def finish(self) -> None:
        """Log what came too late for the last round."""
        if self._grid is not None:
            self._log_late(self._grid)

    @property
    def _ready(self) -> set[int]:
        """The clients that have a teacher and are asked in this round."""
        return self._carrier.of(self._coordinator.cohort) - self._out

    def _prepare(self, grid: PatientGrid, question: Question) -> None:
        """Have those who are new to this process compute features and train, unless they did."""
        strangers = self._carrier.strangers(self._coordinator.cohort)
        if not strangers:
            return
        patience = self._coordinator.timeouts
        encoded = self._phase(grid, "encode", ENCODE, patience.encode, strangers)
        ready = self._phase(grid, "teachers", TEACHER, patience.teachers, encoded)
        self._carrier.met(strangers, ready)

    def _refine(self, grid: PatientGrid, question: Question) -> None:
        """Tell what the server says back, if anything, and have the clients learn it."""
        consensus, told = self._coordinator.consensus(question.round), self._ready
        if consensus is None or not told:
            return
        self._coordinator.told(consensus, told)
        messages = self._messages(
            REFINE, told, lambda own: pack_consensus(consensus, self._coordinator.site, own)
        )
        seconds = self._coordinator.timeouts.refine
        status = self._status(grid, "refine", messages, seconds, told)
        self._out = self._coordinator.heard(status)

    def _hello(self, grid: PatientGrid) -> None:
        """Learn which of Flower's random node ids is which partition; the silent are left out.

        Once all have answered the workers are up, and the clocks of the phases may start.
        """
        nodes = _connected(grid)
        known: dict[int, int] = {}

        def note(reply: Message) -> None:
            known[unpack_hello(reply.content)] = reply.metadata.src_node_id

        empty = pack_question(Question(0, 0, bytes(32)), "", [])
        messages = [Message(empty, node, HELLO, ttl=TTL_SECONDS) for node in nodes]
        grid.exchange(messages, _CONNECT_SECONDS, _quietly(note))
        self._partitions = len(nodes)
        self._nodes = {p: node for p, node in sorted(known.items()) if 0 <= p < len(nodes)}

    def _phase(
        self, grid: PatientGrid, name: str, kind: str, seconds: float, clients: set[int]
    ) -> set[int]:
        """Have ``clients`` do a task; return those that say they did it."""
        question = self._question
        assert question is not None, "a round is open"
        messages = self._messages(kind, clients, lambda own: self._asking(question, own))
        status = self._status(grid, name, messages, seconds, clients)
        done = {client for client, code in status.items() if code is Reason.accepted}
        self._exclude({client: code for client, code in status.items() if client not in done})
        return clients & done

    def _status(
        self,
        grid: PatientGrid,
        name: str,
        messages: list[Message],
        seconds: float,
        clients: set[int],
    ) -> dict[int, Reason]:
        """Have ``clients`` do a task; return what became of it, but for who broke its node."""
        started = time.monotonic()
        status: dict[int, Reason] = {}

        def note(reply: Message) -> None:
            said = unpack_status(reply.content)
            own = _named(grid, reply)
            status.update({client: code for client, code in said.items() if client in own})
            self._progress(name, len(status), len(clients))

        self._progress(name, 0, len(clients))
        replies = grid.exchange(messages, seconds, _quietly(note))
        heard: set[int] = set()
        for reply in replies:
            heard |= _named(grid, reply)
            if reply.has_error():
                self._give_up(_named(grid, reply), reply)
            else:
                silent = _named(grid, reply) - status.keys()
                status |= dict.fromkeys(silent, Reason.client_error)
        status |= dict.fromkeys(clients - heard - status.keys(), Reason.timeout)
        self._carrier.spend(name, time.monotonic() - started)
        return status

    def _asking(self, question: Question, clients: list[int]) -> RecordDict:
        return pack_question(question, self._coordinator.site, clients)

    def _messages(
        self, kind: str, clients: set[int], content: Callable[[list[int]], RecordDict]
    ) -> list[Message]:
        """One message a node, naming the logical clients that are to act."""
        assert self._question is not None, "a round is open"
        group, made = str(self._question.round), []
        for node in self._nodes.values():
            own = sorted(clients & self._owned(node))
            if own:
                made.append(Message(content(own), node, kind, ttl=TTL_SECONDS, group_id=group))
        return made

    def _gather(
        self,
        grid: PatientGrid,
        question: Question,
        replies: Iterable[Message],
        asked: set[int],
        judge: Callable[[set[int], Message, Question], dict[int, Reason]] | None = None,
    ) -> dict[int, Reason]:
        """Judge all replies; return who could have answered and did not, and why."""
        unheard, missing = set(asked), dict[int, Reason]()
        admit = judge or self._admit
        # Whoever comes first is judged in its turn, so that equal runs have equal logs.
        for reply in sorted(replies, key=lambda reply: sorted(_named(grid, reply))):
            named = _named(grid, reply)
            unheard -= named
            if reply.has_error():
                self._give_up(named, reply)
            else:
                missing |= admit(named, reply, question)
        self._exclude(dict.fromkeys(unheard, Reason.timeout))
        return missing

    def _ask_again(self, grid: PatientGrid, question: Question, missing: set[int]) -> None:
        """Give who did not answer a second chance, within the time of the phase."""
        self._coordinator.sent(question, missing)
        left = self._started + self._coordinator.timeouts.predict - time.monotonic()
        messages = self._messages(PREDICT, missing, lambda own: self._asking(question, own))
        replies = grid.exchange(messages, left)
        self._exclude(self._gather(grid, question, replies, missing))

    def _add_up(self, grid: PatientGrid, question: Question) -> None:
        """Have the clients add up what they say; if one is lost on the way, once more."""
        whole = False
        while not whole:
            self._log_late(grid)
            invitation, invited = self._coordinator.invite(self._ready)
            self._demand(grid, KEY, invitation, invited, self._admit_keys)
            roster = self._coordinator.close_list()
            if roster is not None:
                self._demand(grid, MASK, roster, set(roster.clients), self._admit)
            whole = self._coordinator.settle()

    def _demand(
        self,
        grid: PatientGrid,
        kind: str,
        roster: Roster,
        asked: set[int],
        judge: Callable[[set[int], Message, Question], dict[int, Reason]],
    ) -> None:
        """Send a roster; ask once more who does not answer, within the time of the phase."""
        question, missing = roster.question, dict.fromkeys(asked, Reason.timeout)
        self._progress("predict", 0, len(asked))
        end = time.monotonic() + self._coordinator.timeouts.predict
        for again in (False, True):
            if again and missing:
                self._coordinator.remind(roster, missing)
            messages = self._messages(
                kind, set(missing), lambda own: pack_roster(roster, self._coordinator.site, own)
            )
            replies = grid.exchange(messages, end - time.monotonic())
            missing = self._gather(grid, question, replies, set(missing), judge)
        self._exclude(missing)

    def _admit_keys(self, asked: set[int], reply: Message, question: Question) -> dict[int, Reason]:
        """Judge every public key in a reply; see :meth:`_admit`."""
        assert self._coordinator.summing is not None, "this run has secure sums"
        try:
            refusal = unpack_refusal(reply.content)
            attempt = self._coordinator.summing.gate.attempt
            keys = {} if refusal else unpack_keys(reply.content, question.round, attempt)
            named = {client_id(name): key for name, key in keys.items()}
        except Refused as broken:
            whole = framed(reply.content)
            for client in asked:
                self._coordinator.refuse(question, client, whole, broken.reason)
            return {}
        self._carrier.envelope_bytes += len(framed(reply.content))
        self._refuse_strays(asked, named, reply, question)
        for client in sorted(asked & named.keys()):
            self._coordinator.admit_key(client, named[client])
        return {c: refusal.get(c, Reason.client_error) for c in asked - named.keys()}

    def _admit(self, asked: set[int], reply: Message, question: Question) -> dict[int, Reason]:
        """Judge every answer in a reply; a reply that is not one is dropped whole.

        Returns:
            The clients that the reply passes over, with what it says about them.
        """
        try:
            refusal = unpack_refusal(reply.content)
            answers = (
                {} if refusal else unpack_answers(reply.content, question.round, question.schema)
            )
            named = {client_id(name): payload for name, payload in answers.items()}
        except Refused as broken:
            whole = framed(reply.content)
            for client in asked:
                self._coordinator.refuse(question, client, whole, broken.reason)
            return {}
        self._carrier.envelope_bytes += len(framed(reply.content)) - sum(map(len, named.values()))
        self._refuse_strays(asked, named, reply, question)
        own = {client: named[client] for client in asked & named.keys()}
        self._coordinator.admit_all(question, own)
        return {c: refusal.get(c, Reason.client_error) for c in asked - named.keys()}

    def _refuse_strays(
        self, asked: set[int], named: Mapping[int, bytes], reply: Message, question: Question
    ) -> None:
        """Log what a reply says in the names of others, who are not blamed.

        As many as it may speak for are logged one by one; of more, the whole reply in one line,
        under the id of one of those asked: no reply makes the log grow at will.
        """
        strays = sorted(named.keys() - asked)
        for client in strays[: len(asked)]:
            self._coordinator.refuse(question, client, named[client], Reason.wrong_client)
        if len(strays) > len(asked):
            whole = framed(reply.content)
            self._coordinator.refuse(question, min(asked), whole, Reason.wrong_client)

    def _give_up(self, clients: set[int], reply: Message) -> None:
        """Leave out who could not be reached; never again ask who broke its node, alone."""
        if reply.error.code in _UNREACHED:
            self._exclude(dict.fromkeys(clients, Reason.timeout))
            return
        for client in clients:
            self._coordinator.ban(client)
        self._carrier.drop(clients)

    def _log_late(self, grid: PatientGrid) -> None:
        """Log answers to questions of earlier rounds; other replies that come late say nothing."""
        for message, reply in grid.overdue():
            if message.metadata.message_type not in (PREDICT, MASK) or reply.has_error():
                continue
            question, _, asked = unpack_asked(message.content)
            try:
                answers = unpack_answers(reply.content, question.round, question.schema)
                named = {client_id(name): payload for name, payload in answers.items()}
            except Refused:
                continue
            for client in named.keys() & set(asked):
                self._coordinator.late(question, client, named[client])

    def _exclude(self, reasons: Mapping[int, Reason]) -> None:
        for client, reason in reasons.items():
            self._coordinator.exclude(client, reason)

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
        time.sleep(_LOOK_SECONDS)
    return nodes


def _named(grid: PatientGrid, reply: Message) -> set[int]:
    """The logical clients that the message of this reply was for, which it may speak for."""
    return set(unpack_asked(grid.asked(reply).content)[2])


def _quietly(note: Callable[[Message], None]) -> Callable[[Message], None]:
    """A reply that breaks the contract counts as none."""

    def take(reply: Message) -> None:
        with contextlib.suppress(Refused):
            note(reply)

    return take
