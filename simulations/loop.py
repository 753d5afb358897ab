"""The whole protocol in one process: ask, answer, learn. A breakpoint works anywhere."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from clients.apart import runner
from clients.side_by_side import SideBySide
from clients.tasks import guarded, here
from common.flushing import settled
from common.messages import Question
from common.reasons import Reason
from common.rosters import Roster
from server.app import peak_mb
from server.checkpoint import newest
from server.coordinator import Coordinator
from server.plan import open_coordinator
from simulations.events import Progress


def federate(folder: Path, progress: Progress) -> None:
    """Run all rounds that are not committed here, one client after the other."""
    torch.set_num_threads(1)  # as in every worker; the number of threads changes the bits
    coordinator, terms = open_coordinator(folder, progress)
    done = coordinator.resume(newest(folder, terms.run)[0])
    coordinator.carrier.isolated = False
    everybody = _Clients(folder / "clients", coordinator, progress)
    for server_round in range(done + 1, terms.num_rounds + 1):
        question = coordinator.ask(server_round)
        everybody.prepare()
        everybody.refine(server_round)
        everybody.answer(question)
        coordinator.learn(question)
    coordinator.finish({"driver_peak_mb": peak_mb()})


class _Clients:
    """All clients of the federation, in this process, each with its own store."""

    def __init__(self, stores: Path, coordinator: Coordinator, progress: Progress) -> None:
        self._stores, self._coordinator, self._progress = stores, coordinator, progress
        self._run = runner(stores)
        self._carrier = coordinator.carrier

    def prepare(self) -> None:
        """Features, then teachers, loaded if stored; who cannot is asked nothing more."""
        ready = strangers = self._carrier.strangers(self._coordinator.cohort)
        if not strangers:
            return
        room = SideBySide(guarded)
        tasks = (
            ("encode", partial(self._do, "encode"), dict),
            ("teachers", partial(self._train, room), room.finished),
        )
        for phase, task, finished in tasks:
            started = time.monotonic()
            ready = self._phase(phase, task, finished, sorted(ready))
            self._carrier.spend(phase, time.monotonic() - started)
        self._carrier.met(strangers, ready)

    def refine(self, server_round: int) -> None:
        """Bring everybody what the server says back, if anything."""
        consensus = self._coordinator.consensus(server_round)
        if consensus is None or not (told := self._coordinator.ready):
            return
        started, status = time.monotonic(), dict[int, Reason]()
        self._coordinator.books.told(consensus, told)
        for done, client in enumerate(sorted(told), start=1):
            status[client] = self._run(self._store(client), "refine", consensus).reason
            self._progress("refine", done, len(told))
        self._coordinator.heard(status)
        self._carrier.spend("refine", time.monotonic() - started)

    def _phase(
        self,
        name: str,
        task: Callable[[int], Reason],
        finished: Callable[[], dict[int, Reason]],
        asked: list[int],
    ) -> set[int]:
        """Have clients do a task; return those that did it, some of them when all were asked."""
        status = {}
        for done, client in enumerate(asked, start=1):
            status[client] = task(client)
            self._progress(name, done, len(asked))
        status |= finished()
        ready = {client for client, reason in status.items() if reason is Reason.accepted}
        for client in sorted(status.keys() - ready):
            self._coordinator.books.exclude(client, status[client])
        return ready

    def _store(self, client: int) -> Path:
        return self._stores / str(client)

    def _do(self, task: str, client: int) -> Reason:
        return self._run(self._store(client), task, None).reason

    def _train(self, room: SideBySide, client: int) -> Reason:
        if self._run is here:
            return guarded(self._store(client), room.train)
        return self._do("train", client)  # beside nobody

    def answer(self, question: Question) -> None:
        """Bring every client's answer to the coordinator's gate; ask once more who has none."""
        started = time.monotonic()
        asked = sorted(self._coordinator.ready)
        if self._coordinator.summing is not None:
            self._add_up(set(asked))
            self._carrier.spend("predict", time.monotonic() - started)
            return
        missing = self._ask(question, asked, "predict")
        if missing:
            missing = self._ask(question, sorted(missing), None)
        self._coordinator.books.exclude_all(missing)
        self._carrier.spend("predict", time.monotonic() - started)

    def _add_up(self, ready: set[int]) -> None:
        """Have the clients add up what they say; if one is lost on the way, once more."""
        summing, whole = self._coordinator.summing, False
        assert summing is not None, "this run has secure sums"
        while not whole:
            invitation, invited = summing.invite(ready)
            self._demand("key", invitation, invited, summing.admit_key)
            roster = summing.close()
            if roster is not None:
                admit = partial(self._coordinator.admit, roster.question)
                self._demand("mask", roster, set(roster.clients), admit)
            whole = summing.settle()

    def _demand(
        self, task: str, roster: Roster, asked: set[int], admit: Callable[[int, bytes], object]
    ) -> None:
        """Bring a roster to clients and back what each has to say; ask once more who fails."""
        summing, missing = self._coordinator.summing, dict.fromkeys(asked, Reason.timeout)
        assert summing is not None, "this run has secure sums"
        for again in (False, True):
            if again and missing:
                summing.remind(roster, missing)
            for client in sorted(missing):
                outcome = self._run(self._store(client), task, roster)
                if outcome.said is not None:
                    admit(client, outcome.said.payload)
                missing[client] = outcome.reason
            missing = {k: why for k, why in missing.items() if why is not Reason.accepted}
        self._coordinator.books.exclude_all(missing)

    def _ask(self, question: Question, asked: list[int], phase: str | None) -> dict[int, Reason]:
        """Ask some clients; return who did not answer, and why."""
        written: list[str] = []
        missing: dict[int, Reason] = {}
        self._coordinator.books.sent(question, asked)
        for done, client in enumerate(asked, start=1):
            reason, said = self._run(self._store(client), "predict", question)
            if said is not None:
                written += said.written
                self._coordinator.admit(question, client, said.payload)
            if reason is not Reason.accepted:
                missing[client] = reason
            if phase is not None:
                self._progress(phase, done, len(asked))
        settled(written)  # the clients' part of the round, before the server commits to it
        return missing
