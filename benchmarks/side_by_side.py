"""Teachers fitted one by one and side by side: how many times sooner, and what is the limit?

    python benchmarks/side_by_side.py [--size D,H,M] [--clients 48] [--repeats 5] [--steps 200]

For networks of several sizes (D features, H hidden units, M examples a client, five labels), the
processor time per step of one client by `FrozenMlp.fit` and by `FrozenMlp.fit_together`, in turn
and on one thread; the median of the ratios of pairs; and the time of the things that neither can do
without: the two large matrix products, the dropout draws, and AdamW. Stops if a bit differs.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from clients.teachers import FittedTeacher, Shard
from clients.teachers._one_cycle import AdamW
from clients.teachers.frozen_mlp import FrozenMlp
from common.seeds import stream

LABELS = 5
SIZES = ((384, 256, 100), (384, 64, 100), (384, 64, 50), (384, 64, 250), (384, 16, 100),
         (384, 8, 50), (64, 16, 100), (32, 8, 40))  # fmt: skip


def main() -> None:
    """Time the arms in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", action="append", help="D,H,M; may be given again")
    parser.add_argument("--clients", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    call = parser.parse_args()
    torch.set_num_threads(1)
    print("  D    H    M   one by one  side by side    times  floor   at most   (us a step)")
    sizes = [tuple(map(int, one.split(","))) for one in call.size or ()] or SIZES
    for width, hidden, size in sizes:
        recipe = FrozenMlp(hidden=hidden, epochs=1, min_steps=call.steps)
        alone, beside = _pairs(recipe, width, size, call.clients, call.repeats)
        least = 1e6 * _floor(recipe, width, size)
        one, many = (1e6 * float(np.median(t)) / call.steps for t in (alone, beside))
        ratio = float(np.median(np.array(alone) / np.array(beside)))
        print(
            f"{width:4}{hidden:5}{size:5}{one:12.0f}{many:14.0f}{ratio:9.1f}{least:7.0f}"
            f"{one / least:10.1f}"
        )


def _pairs(
    recipe: FrozenMlp, width: int, size: int, clients: int, repeats: int
) -> tuple[list[float], list[float]]:
    """Seconds per client of both arms, in turn; the first pair is not counted."""
    few = max(2, clients // 8)  # for the slow arm
    alone, beside = [], []
    for _ in range(repeats + 1):
        first_few, everybody = _shards(width, size, few), _shards(width, size, clients)
        one, first = _timed(partial(_one_by_one, recipe, first_few))
        many, second = _timed(partial(recipe.fit_together, everybody, LABELS))
        for a, b in zip(one, many, strict=False):
            same = (np.array_equal(x, b.tensors()[name]) for name, x in a.tensors().items())
            assert all(same), "the bits differ"
        alone.append(first / few)
        beside.append(second / clients)
    return alone[1:], beside[1:]


def _one_by_one(recipe: FrozenMlp, shards: list[Shard]) -> list[FittedTeacher]:
    return [recipe.fit(*shard[:2], LABELS, shard.rng) for shard in shards]


def _shards(width: int, size: int, clients: int) -> list[Shard]:
    made = []
    for client in range(clients):
        rng = stream(client, "bench")
        features = rng.normal(size=(size, width)).astype(np.float32) / np.sqrt(width)
        made.append(Shard(features, rng.integers(LABELS, size=size), rng))
    return made


def _timed(arm: Callable[[], list[FittedTeacher]]) -> tuple[list[FittedTeacher], float]:
    started = time.process_time()
    made = arm()
    return made, time.process_time() - started


def _floor(recipe: FrozenMlp, width: int, size: int) -> float:
    """Seconds of a step's two large products, draws and update, for the mean batch."""
    rows, hidden = round(size / -(-size // recipe.batch_size)), recipe.hidden
    shapes = (hidden, width), (hidden,), (LABELS, hidden), (LABELS,)
    parameters = [torch.zeros(shape) for shape in shapes]
    update = AdamW(parameters, [torch.ones(shape) for shape in shapes], 0.01)
    inputs, weight = torch.randn(rows, width), torch.randn(hidden, width)
    out, draws = torch.empty(2, rows, hidden)
    generator = torch.Generator()

    def step() -> None:
        torch.mm(inputs, weight.t(), out=out)
        torch.mm(out.t(), inputs, out=parameters[0])
        draws.uniform_(generator=generator)
        update(1e-9, 0.9)

    taken = []
    for _ in range(20):
        started = time.process_time()
        for _ in range(100):
            step()
        taken.append((time.process_time() - started) / 100)
    return float(np.median(taken))


if __name__ == "__main__":
    main()
