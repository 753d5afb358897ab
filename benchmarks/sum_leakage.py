"""What does a secure sum tell of one client in it? Attacks on sums of 2, 5, 10 clients.

    python benchmarks/sum_leakage.py [quickstart] [--parties 1,2,5,10] [--models 64] [--set ...]

One client of every sum trains on a random half of the candidates. The others hold as many rows
each, none of them a candidate, and no two clients of a sum have a row in common. The attacker, the
server, has the sum, the candidates and the recipe, and forms sums of its own with other rows. A sum
of one is an individual release. Prints membership as `fedknot attack` does: with the candidates
among the texts that are asked about (`lira`), and without (`adaptive`).
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.arrays import Floats, Ints
from common.fixed_point import from_words
from common.predictions import Predictions
from common.secure_terms import SecureTerms
from common.seeds import stream
from simulations.attacks import Finding
from simulations.attacks._game import Game, Size, assemble
from simulations.attacks._release import Said, at_width
from simulations.attacks._scene import Scene, accuracy, narrowed, set_up
from simulations.attacks._training import Trained, says, train
from simulations.attacks.adaptive import Adaptive
from simulations.attacks.lira import Lira
from simulations.events import silent
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.finished import one_thread
from simulations.provision import divide

TERMS = SecureTerms("uniform", 2)
DRAWS = 8
"""How often each side's rows are dealt to the others of a sum."""


def main() -> None:
    """Print one table, in Markdown."""
    asked = _asked()
    size = Size(pool=asked.pool, targets=asked.models, shadows=asked.models)
    with one_thread():
        stage = _staged(read(asked.experiment, asked.set), size, max(asked.parties))
        print("| clients in the sum | accuracy | `lira`: AUC | at 1 % | `adaptive`: AUC | at 1 % |")
        print("|---|---|---|---|---|---|")
        for parties in asked.parties:
            print(_row(stage, parties), flush=True)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", nargs="?", default="quickstart")
    parser.add_argument("--parties", type=_numbers, default=(1, 2, 5, 10))
    parser.add_argument("--models", type=int, default=64)
    parser.add_argument("--pool", type=int, default=400)
    parser.add_argument("--set", action="append", default=[])
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


@dataclass(frozen=True)
class Stage:
    """What all sums are formed of.

    Attributes:
        scene: the client under attack, many times, and as many of the attacker's own.
        others: what the others say in the targets' and in the shadows' sums; each of
            shape (draws, most others, ...).
    """

    scene: Scene
    others: tuple[list[list[Said]], list[list[Said]]]


def _staged(experiment: Experiment, size: Size, most: int) -> Stage:
    corpus, parts = divide(experiment)
    rng, each = stream(experiment.seed, "sum leakage"), size.pool // 2
    rows, beside = rng.permutation(parts.private), (most - 1) * each
    if len(rows) < size.pool + 2 * beside:
        raise SystemExit(f"{len(rows)} private rows are too few; write a smaller --pool")
    public = {
        "shared": rng.permutation(parts.transfer)[: size.shared],
        "fresh": rng.permutation(parts.test)[: size.fresh],
    }

    def game(picked: Ints) -> Game:
        return assemble(experiment, corpus, {"pool": picked, **public}, size, silent)

    about, crowd = game(rows[: size.pool]), game(rows[size.pool : size.pool + 2 * beside])
    width = experiment.wire.bits
    scene = set_up(about, silent, (at_width(width, "one client of a sum"),))
    halves = np.arange(beside), np.arange(beside, 2 * beside)
    return Stage(scene, tuple(_others(scene, crowd, half, each, rng) for half in halves))


def _others(
    scene: Scene, crowd: Game, rows: Ints, each: int, rng: np.random.Generator
) -> list[list[Said]]:
    """The rows dealt several times to clients of ``each`` rows, and what those say."""
    made = []
    for _ in range(DRAWS):
        dealt = rng.permutation(rows).reshape(-1, each)
        trained = train(crowd, list(dealt), f"others {len(made)}", None, lambda *_: None)
        numbers = range(len(trained.models))
        made.append([_said(scene, crowd, trained, number) for number in numbers])
    return made


def _said(scene: Scene, crowd: Game, trained: Trained, number: int) -> Said:
    game, defence = scene.game, scene.own.defence
    parts = (game.pool, game.shared, game.fresh)
    rng = np.random.default_rng(0)  # codes need none
    return Said(
        *(defence.release(says(crowd, trained, number, part.inputs), rng) for part in parts)
    )


def _row(stage: Stage, parties: int) -> str:
    scene, own = stage.scene, stage.scene.own
    targets, shadows = (
        _sums(said, others, parties - 1)
        for said, others in zip((own.targets, own.shadows), stage.others, strict=True)
    )
    defence = replace(own.defence, grain=own.defence.grain / parties)
    seen = replace(own, defence=defence, targets=targets, shadows=shadows)
    there = narrowed(scene, (seen,))
    right = accuracy(targets, scene.game.fresh.labels)
    cells = [cell for attack in (Lira(), Adaptive()) for cell in _cells(attack.run(there)[0])]
    return f"| {parties} | {right:.1%} | " + " | ".join(cells) + " |"


def _cells(found: Finding) -> list[str]:
    figures = found.figures
    told = [(figures["auc"], figures["auc_interval"])]
    told.append((figures["tpr"]["0.01"], figures["tpr_interval"]["0.01"]))
    return [f"{100 * v:.1f} [{100 * low:.1f}, {100 * high:.1f}]" for v, (low, high) in told]


def _sums(said: Said, others: list[list[Said]], count: int) -> Said:
    """Of every model with ``count`` others; exactly as the server has them, float32."""
    models = range(len(said.pool))
    beside = [others[model % len(others)][:count] for model in models]

    def summed(part: str) -> Floats:
        own = getattr(said, part)
        return np.stack([_sum([own[m], *(getattr(o, part) for o in beside[m])]) for m in models])

    return Said(summed("pool"), summed("shared"), summed("fresh"))


def _sum(answers: Sequence[Floats]) -> Floats:
    words = [TERMS.words(Predictions(one, None), len(answers)) for one in answers]
    total = np.add.reduce(words, dtype=np.uint32)
    return TERMS.opinions(from_words(total))


if __name__ == "__main__":
    main()
