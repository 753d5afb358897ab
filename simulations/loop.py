"""The whole protocol in one process: ask, answer, learn. A breakpoint works anywhere."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from clients.app import guarded
from clients.client import Client
from clients.flushing import settled
from common.messages import Answer, Question
from common.reasons import Reason
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
        if server_round == done + 1:
            everybody.prepare()
        everybody.answer(question)
        coordinator.learn(question)
    coordinator.finish({"driver_peak_mb": peak_mb()})


class _Clients:
    """All clients of the federation, in this process, each with its own store."""

    def __init__(self, stores: Path, coordinator: Coordinator, progress: Progress) -> None:
        self._stores, self._coordinator, self._progress = stores, coordinator, progress
        self._carrier = coordinator.carrier

    def prepare(self) -> None:
        """Features, then teachers, loaded if stored; who cannot is asked nothing more."""
        ready = set(self._coordinator.clients)
        if self._carrier.ready is not None:  # an earlier process knew
            ready = self._carrier.ready
        for phase, task in (("encode", Client.encode), ("teachers", Client.train)):
            started = time.monotonic()
            ready = self._phase(phase, task, sorted(ready))
            self._carrier.seconds[phase] += time.monotonic() - started
        self._carrier.ready = ready

    def _phase(self, name: str, task: Callable[[Client], None], asked: list[int]) -> set[int]:
        """Have clients do a task; return those that did it."""
        ready = set()
        for done, client in enumerate(asked, start=1):
            reason = guarded(self._stores / str(client), task)
            if reason is Reason.accepted:
                ready.add(client)
            else:
                self._coordinator.exclude(client, reason)
            self._progress(name, done, len(asked))
        return ready

    def answer(self, question: Question) -> None:
        """Bring every client's answer to the coordinator's gate; ask once more who has none."""
        started, asked = time.monotonic(), sorted(self._carrier.ready or ())
        missing = self._ask(question, asked, "predict")
        if missing:
            missing = self._ask(question, sorted(missing), None)
        for client, reason in missing.items():
            self._coordinator.exclude(client, reason)
        self._carrier.seconds["predict"] += time.monotonic() - started

    def _ask(self, question: Question, asked: list[int], phase: str | None) -> dict[int, Reason]:
        """Ask some clients; return who did not answer, and why."""
        answers: list[Answer] = []
        written: list[Path] = []
        missing: dict[int, Reason] = {}
        self._coordinator.sent(question, asked)

        def ask(client: Client) -> None:
            answer, files = client.draft(question)
            answers.append(answer)
            written.extend(files)

        for done, client in enumerate(asked, start=1):
            reason = guarded(self._stores / str(client), ask)
            while answers:  # outside the guard: the server's failures are not the client's
                answer = answers.pop()
                self._coordinator.admit(question, answer.client, answer.payload)
            if reason is not Reason.accepted:
                missing[client] = reason
            if phase is not None:
                self._progress(phase, done, len(asked))
        settled(written)  # the clients' part of the round, before the server commits to it
        return missing
