"""Flower adapter: the coordinator as a strategy of Flower's Message API."""

import time
from collections.abc import Callable, Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from typing_extensions import override

from common.messages import Question
from server.collecting import Collector
from server.coordinator import Coordinator
from server.judging import Judge
from server.nodes import Nodes
from server.patience import PatientGrid
from server.phases import Phases
from server.progress import Progress


class FederatedDistillation(Strategy):
    """Asks for predictions and learns from them; no model arrays go down or come up.

    Before they are asked for the first time clients compute features and train their teachers,
    in two exchanges of their own, so that each phase can be watched. In runs with a feedback,
    later rounds begin with one more: what the server says back, which teachers learn.
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
        self._carrier, self._nodes = coordinator.carrier, Nodes(coordinator.clients)
        self._judge = Judge(coordinator)
        self._phases = Phases(coordinator, self._nodes, self._judge, progress)
        self._collector = Collector(coordinator, self._nodes, self._judge, progress)
        self._question: Question | None = None
        self._grid: PatientGrid | None = None

    @override
    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        del arrays, config  # Flower offers the student for download; we send a question
        assert isinstance(grid, PatientGrid), "an impatient grid would lose clients"
        self._grid = grid
        self._question = question = self._coordinator.ask(self._committed + server_round)
        self._nodes.greet(grid)
        self._phases.prepare(grid, question)
        self._reach("asked", question.round)
        self._phases.refine(grid, question)
        self._progress("predict", 0, len(self._coordinator.ready))
        return []  # what is asked is judged while others still answer, and some of it asked twice

    @override
    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        del replies  # to no message of ours
        question, grid, started = self._question, self._grid, time.monotonic()
        assert question is not None, "Flower configures before it aggregates"
        assert grid is not None, "Flower configures before it aggregates"
        self._judge.log_late(grid)
        if self._coordinator.summing is not None:
            self._collector.add_up(grid)
        else:
            self._collector.collect(grid, question)
        self._carrier.spend("predict", time.monotonic() - started)
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
            self._judge.log_late(self._grid)
