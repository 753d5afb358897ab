"""The phases before the question: features, teachers, and what the server says back."""

import time
from contextlib import suppress
from functools import partial

from flwr.app import Message

from common.messages import Question
from common.reasons import Reason, Refused
from common.wire import ENCODE, REFINE, TEACHER, pack_consensus, pack_question, unpack_status
from server.coordinator import Coordinator
from server.judging import Judge
from server.nodes import Nodes
from server.patience import PatientGrid
from server.progress import Progress


class Phases:
    """Exchanges in which clients do a task, and say no more than whether they did it."""

    def __init__(
        self, coordinator: Coordinator, nodes: Nodes, judge: Judge, progress: Progress
    ) -> None:
        self._coordinator, self._books = coordinator, coordinator.books
        self._carrier = coordinator.carrier
        self._nodes, self._judge, self._progress = nodes, judge, progress

    def prepare(self, grid: PatientGrid, question: Question) -> None:
        """Have those who are new to this process compute features and train, unless they did."""
        ready = strangers = self._carrier.strangers(self._coordinator.cohort)
        if not strangers:
            return
        patience = self._coordinator.timeouts
        content = partial(pack_question, question, self._coordinator.site)
        for name, kind, seconds in (
            ("encode", ENCODE, patience.encode),
            ("teachers", TEACHER, patience.teachers),
        ):
            messages = self._nodes.messages(kind, question.round, ready, content)
            status = self._status(grid, name, messages, seconds, ready)
            done = {client for client, code in status.items() if code is Reason.accepted}
            self._books.exclude_all({c: code for c, code in status.items() if c not in done})
            ready = ready & done
        self._carrier.met(strangers, ready)

    def refine(self, grid: PatientGrid, question: Question) -> None:
        """Tell what the server says back, if anything, and have the clients learn it."""
        consensus, told = self._coordinator.consensus(question.round), self._coordinator.ready
        if consensus is None or not told:
            return
        self._books.told(consensus, told)
        content = partial(pack_consensus, consensus, self._coordinator.site)
        messages = self._nodes.messages(REFINE, question.round, told, content)
        seconds = self._coordinator.timeouts.refine
        self._coordinator.heard(self._status(grid, "refine", messages, seconds, told))

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
            with suppress(Refused):
                said, own = unpack_status(reply.content), grid.named(reply)
                status.update({client: code for client, code in said.items() if client in own})
                self._progress(name, len(status), len(clients))

        self._progress(name, 0, len(clients))
        replies = grid.exchange(messages, seconds, note)
        heard: set[int] = set()
        for reply in replies:
            named = grid.named(reply)
            heard |= named
            if reply.has_error():
                self._judge.give_up(named, reply)
            else:
                status |= dict.fromkeys(named - status.keys(), Reason.client_error)
        status |= dict.fromkeys(clients - heard - status.keys(), Reason.timeout)
        self._carrier.spend(name, time.monotonic() - started)
        return status
