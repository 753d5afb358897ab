"""The whole protocol in one process: ask, answer, learn. A breakpoint works anywhere."""

import time
from pathlib import Path

import torch

from clients.app import guarded
from clients.client import Client
from common.messages import Answer, Question
from common.reasons import Reason
from server.app import peak_mb
from server.coordinator import Coordinator
from server.plan import open_coordinator
from simulations.events import Progress


def federate(folder: Path, progress: Progress) -> None:
    """Run all rounds of a provisioned folder here, one client after the other."""
    torch.set_num_threads(1)  # as in every worker; the number of threads changes the bits
    coordinator, terms = open_coordinator(folder, progress)
    everybody = _Clients(folder / "clients", coordinator, progress)
    for server_round in range(1, terms.num_rounds + 1):
        question = coordinator.ask(server_round)
        if server_round == 1:
            everybody.prepare()
        everybody.answer(question)
        coordinator.learn(question)
    coordinator.finish(
        {
            "isolated": False,
            "envelope_up": 0,
            "seconds": coordinator.seconds | everybody.seconds,
            "driver_peak_mb": peak_mb(),
        }
    )


class _Clients:
    """All clients of the federation, in this process, each with its own store."""

    def __init__(self, stores: Path, coordinator: Coordinator, progress: Progress) -> None:
        self._stores, self._coordinator, self._progress = stores, coordinator, progress
        self._ready = list(coordinator.clients)
        self.seconds = dict.fromkeys(("encode", "teachers", "predict"), 0.0)

    def prepare(self) -> None:
        """Compute features, then train teachers; who cannot is asked nothing more."""
        tasks = (("encode", Client.encode), ("teachers", Client.train))
        for phase, task in tasks:
            started, asked = time.monotonic(), self._ready
            self._ready = []
            for done, client in enumerate(asked, start=1):
                reason = guarded(self._stores / str(client), task)
                if reason is Reason.accepted:
                    self._ready.append(client)
                else:
                    self._coordinator.exclude(client, reason)
                self._progress(phase, done, len(asked))
            self.seconds[phase] += time.monotonic() - started

    def answer(self, question: Question) -> None:
        """Bring every client's answer to the coordinator's gate."""
        started = time.monotonic()

        answers: list[Answer] = []

        self._coordinator.sent(question, self._ready)

        def ask(client: Client) -> None:
            answers.append(client.answer(question))

        for done, client in enumerate(self._ready, start=1):
            reason = guarded(self._stores / str(client), ask)
            while answers:  # outside the guard: the server's failures are not the client's
                answer = answers.pop()
                self._coordinator.admit(question, answer.client, answer.payload)
            if reason is not Reason.accepted:
                self._coordinator.exclude(client, reason)
            self._progress("predict", done, len(self._ready))
        self.seconds["predict"] += time.monotonic() - started
