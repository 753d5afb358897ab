"""What clients say in a round, collected: in clear, or as a secure sum."""

import time
from functools import partial

from flwr.app import Message

from common.messages import Question
from common.reasons import Reason
from common.rosters import Roster
from common.wire import KEY, MASK, PREDICT, pack_question, pack_roster
from server.coordinator import Coordinator
from server.judging import Admit, Judge
from server.nodes import Nodes
from server.patience import PatientGrid
from server.progress import Progress


class Collector:
    """Asks once more who does not answer, within the time of the phase."""

    def __init__(
        self, coordinator: Coordinator, nodes: Nodes, judge: Judge, progress: Progress
    ) -> None:
        self._coordinator, self._books = coordinator, coordinator.books
        self._nodes, self._judge, self._progress = nodes, judge, progress

    def _ask(self, question: Question, clients: set[int]) -> list[Message]:
        """Log that the question goes down; return the messages that hold it."""
        self._books.sent(question, clients)
        content = partial(pack_question, question, self._coordinator.site)
        return self._nodes.messages(PREDICT, question.round, clients, content)

    def collect(self, grid: PatientGrid, question: Question) -> None:
        """Ask all who are ready; judge their replies; give who did not answer a second chance."""
        end = time.monotonic() + self._coordinator.timeouts.predict
        missing = dict.fromkeys(self._coordinator.ready, Reason.timeout)
        for _ in ("first", "second"):
            if missing:
                asked = set(missing)
                replies = grid.in_turn(self._ask(question, asked), end - time.monotonic())
                missing = self._judge.gather(grid, question, replies, asked, self._judge.answers)
        self._books.exclude_all(missing)

    def add_up(self, grid: PatientGrid) -> None:
        """Have the clients add up what they say; if one is lost on the way, once more."""
        summing, whole = self._coordinator.summing, False
        assert summing is not None, "this run has secure sums"
        while not whole:
            self._judge.log_late(grid)
            invitation, invited = summing.invite(self._coordinator.ready)
            self._demand(grid, KEY, invitation, invited, self._judge.keys)
            roster = summing.close()
            if roster is not None:
                self._demand(grid, MASK, roster, set(roster.clients), self._judge.answers)
            whole = summing.settle()

    def _demand(
        self, grid: PatientGrid, kind: str, roster: Roster, asked: set[int], admit: Admit
    ) -> None:
        """Send a roster, and send it once more to who does not do what it asks for."""
        summing = self._coordinator.summing
        assert summing is not None, "this run has secure sums"
        missing = dict.fromkeys(asked, Reason.timeout)
        self._progress("predict", 0, len(asked))
        end = time.monotonic() + self._coordinator.timeouts.predict
        content = partial(pack_roster, roster, self._coordinator.site)
        for again in (False, True):
            if again and missing:
                summing.remind(roster, missing)
            messages = self._nodes.messages(kind, roster.round, set(missing), content)
            replies = grid.in_turn(messages, end - time.monotonic())
            missing = self._judge.gather(grid, roster.question, replies, set(missing), admit)
        self._books.exclude_all(missing)
