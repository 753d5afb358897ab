"""A game with its models: what every attack of a battery is handed."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from clients.mechanisms import Mechanism
from common.configure import kind_of
from common.failures import ConfigError
from common.seeds import derive
from simulations.attacks._figures import Masks, most_tpr, most_tpr_of
from simulations.attacks._game import Game
from simulations.attacks._release import Defence, Said, defences
from simulations.attacks._surrogate import Copyist
from simulations.attacks._training import Trained, listen, rows_of, train
from simulations.events import Progress


@dataclass(frozen=True, eq=False)
class Seen:
    """One row of the battery, as the attacker meets it.

    Attributes:
        defence: what the clients do.
        targets: what leaves the T models under attack.
        shadows: the same of the attacker's own S models, trained and altered likewise.
        trained: the targets themselves, which only the judge opens.
        mu: what each target's training claims in Gaussian DP; None without a guarantee.
        claim: the (epsilon, delta) of a guarantee that is not Gaussian; None without one.
    """

    defence: Defence
    targets: Said
    shadows: Said
    trained: Trained
    mu: float | None
    claim: tuple[float, float] | None = None

    def allows(self, rate: float) -> float | None:
        """The most members that may be found at a rate of false alarms; None for all."""
        if self.mu is not None:
            return most_tpr(self.mu, rate)
        return None if self.claim is None else most_tpr_of(*self.claim, rate)


@dataclass(frozen=True, eq=False)
class Scene:
    """A game, its models, and who has seen what.

    Attributes:
        game: the rest.
        inside: shape (T, P), bool; the truth about the targets.
        inside_shadows: shape (S, P), bool; what the attacker knows of its own.
        rows: of the battery; the first is undefended.
        progress: told (phase, done, all).
    """

    game: Game
    inside: Masks
    inside_shadows: Masks
    rows: tuple[Seen, ...]
    progress: Progress

    @cached_property
    def copyist(self) -> Copyist:
        """Regresses answers on the shared texts; asked about the candidates."""
        return Copyist(self.game.shared.view, self.game.pool.view)

    @cached_property
    def copyist_of_fresh(self) -> Copyist:
        """The same, asked about the fresh texts."""
        return Copyist(self.game.shared.view, self.game.fresh.view)

    @property
    def own(self) -> Seen:
        """The experiment's own release."""
        return self.rows[1] if len(self.rows) > 1 else self.rows[0]


def set_up(game: Game, progress: Progress, offered: tuple[Defence, ...] | None = None) -> Scene:
    """Train all targets and shadows, once for all defences that train alike.

    Args:
        game: the rest.
        progress: told (phase, done, all).
        offered: the rows, but for those that cannot train the game's teacher; not given: those
            of a battery.
    """
    size = game.size
    inside = game.halves(size.targets, "targets", paired=False)
    shadowed = game.halves(size.shadows, "shadows", paired=True)
    if offered is None:
        bits, rows = game.experiment.wire.bits, len(game.shared)
        offered = defences(bits, own_mechanism(game), noise_seed(game), rows)
    made = _Maker(game, inside, shadowed, progress)
    seen = tuple(made.seen(defence) for defence in offered if _possible(game, defence))
    return Scene(game, inside, shadowed, seen, progress)


def noise_seed(game: Game) -> int:
    """Of a guarantee's noise in a game, so that figures repeat; no attack makes use of it."""
    return derive(game.seed, "attack", "noise") % 2**32


def repeatable(mechanism: Mechanism, seed: int) -> Mechanism:
    """With seeded noise where it can be, so that figures repeat: for the attacker's own models."""
    if "noise_seed" not in {field.name for field in fields(mechanism)}:  # type: ignore[arg-type]
        return mechanism
    made: Mechanism = replace(mechanism, noise_seed=seed)  # type: ignore[type-var]
    return made


def own_mechanism(game: Game) -> Mechanism | None:
    """The experiment's own, if it has one."""
    return game.experiment.clients.mechanism


def _possible(game: Game, defence: Defence) -> bool:
    if defence.mechanism is None:
        return True
    try:
        defence.mechanism.check(game.recipe)
    except ConfigError:
        return False
    return True


class _Maker:
    """Trains what is asked for, each training once."""

    def __init__(self, game: Game, inside: Masks, shadowed: Masks, progress: Progress) -> None:
        self._game, self._inside, self._shadowed = game, inside, shadowed
        self._progress = progress
        self._found: dict[Mechanism | None, tuple[Trained, Said, Said]] = {}

    def seen(self, defence: Defence) -> Seen:
        if defence.mechanism not in self._found:
            self._found[defence.mechanism] = self._train(defence.mechanism)
        trained, targets, shadows = self._found[defence.mechanism]
        rng = self._game.rng("alter", defence.name)
        released = targets.released(defence, rng), shadows.released(defence, rng)
        return Seen(defence, *released, trained, trained.mu, trained.claim)

    def _train(self, mechanism: Mechanism | None) -> tuple[Trained, Said, Said]:
        game, phase = self._game, "models" if mechanism is None else kind_of(mechanism)
        first, total = len(self._inside), len(self._inside) + len(self._shadowed)

        def some(inside: Masks, name: str, before: int) -> tuple[Trained, Said]:
            def step(done: int, _: int) -> None:
                self._progress(phase, before + done, total)

            made = train(game, rows_of(inside), name, mechanism, step)
            return made, listen(game, made)

        targets, said = some(self._inside, "target", 0)
        _, shadows = some(self._shadowed, "shadow", first)
        return targets, said, shadows


def narrowed(scene: Scene, rows: tuple[Seen, ...]) -> Scene:
    """The same scene with other rows."""
    return replace(scene, rows=rows)


def accuracy(said: Said, labels: Any, together: int = 1) -> float:
    """Of models on the fresh texts, or of means of ``together`` of them at a time.

    Args:
        said: as released.
        labels: shape (F,).
        together: models whose answers are averaged; one group after the other.
    """
    groups = max(1, len(said.fresh) // together)
    parts = np.array_split(said.fresh, groups)
    right = [(part.mean(axis=0).argmax(axis=1) == labels).mean() for part in parts]
    return float(np.mean(right))
