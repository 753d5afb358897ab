"""One distillation step of quickstart: how long in the loss, how long in the student?

    python benchmarks/distil_step.py [--repeats 500]

Times, in turn and on one thread, the student's own forward and backward pass and every loss's
forward and backward pass on the student's output, at quickstart's shapes: 250 samples, four
teachers, five labels, 384 features. Prints the median CPU milliseconds of each and its ratio to
the student's.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from common.configure import find, kinds
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.distil import weighted_loss
from server.losses import DistillationLoss
from server.students.frozen_mlp import FrozenMlp

SAMPLES, TEACHERS, LABELS, FEATURES = 250, 4, 5, 384
GRADES = LabelGeometry.ordinal(list("abcde"), [-2.2, -1, 0, 1, 2.2])


def main() -> None:
    """Time the arms in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=500)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.manual_seed(0)
    arms = {"student": _student()} | {kind: _loss(kind) for kind in _served()}
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(repeats):
        for name, arm in arms.items():
            started = time.process_time()
            arm()
            taken[name].append(time.process_time() - started)
    median = {name: float(np.median(times)) for name, times in taken.items()}
    for name, seconds in sorted(median.items(), key=lambda item: item[1]):
        print(
            f"{name:24}{1e3 * seconds:8.3f} ms{seconds / median['student']:8.2f} of the student's"
        )


def _served() -> list[str]:
    found = []
    for kind in kinds(DistillationLoss):
        try:
            find(DistillationLoss, kind)().check(GRADES)
        except ConfigError:
            continue
        found.append(kind)
    return found


def _student() -> Callable[[], None]:
    module = FrozenMlp().build(FEATURES, LABELS, np.random.default_rng(0)).train()
    inputs, upstream = torch.randn(SAMPLES, FEATURES), torch.randn(SAMPLES, LABELS)
    return lambda: module(inputs).backward(upstream)


def _loss(kind: str) -> Callable[[], None]:
    loss = find(DistillationLoss, kind)()
    log_q = torch.log_softmax(2 * torch.randn(SAMPLES, LABELS), dim=1)
    probs = torch.softmax(2 * torch.randn(TEACHERS, SAMPLES, LABELS), dim=2)
    weights = torch.full((TEACHERS, SAMPLES), 1 / TEACHERS)

    def step() -> None:
        out = log_q.clone().requires_grad_()
        weighted_loss(loss, out, probs, weights, GRADES).backward()

    return step


if __name__ == "__main__":
    main()
