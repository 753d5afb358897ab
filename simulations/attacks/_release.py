"""What models say, and what a client makes of it before it leaves: the rows of the battery.

Axes: M models, P candidates, N shared texts, F fresh texts, C labels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from clients.mechanisms import Mechanism
from clients.mechanisms.dp_gd import DpGd
from common.arrays import Floats
from common.biases import Bias, opinions_of_bias
from common.gaussian_dp import epsilon_of
from common.quantise import to_codes, to_probs

FLOAT = 1e-30
"""The smallest float32 probability that an attacker counts on."""

EPSILON: Final = 8.0
_VACUOUS = 1e6
_NOISE, _WARMTH, _DECIMALS = 0.2, 4.0, 2

Alter = Callable[[Floats, np.random.Generator], Floats]


@dataclass(frozen=True, eq=False)
class Defence:
    """One way to answer.

    Attributes:
        name: as it is reported.
        about: what it is, and what it promises.
        alter: from probabilities (..., C) to those that are released.
        grain: the smallest step of a released probability.
        mechanism: how teachers are trained; None for as usual.
        control: whether it is the undefended one, beside which the others stand.
    """

    name: str
    about: str
    alter: Alter
    grain: float
    mechanism: Mechanism | None = None
    control: bool = False

    def release(self, probs: Floats, rng: np.random.Generator) -> Floats:
        """What leaves the clients, float32."""
        return self.alter(self._said(probs), rng).astype(np.float32)

    def bias(self, quiet: Floats, how: Bias, rng: np.random.Generator) -> Floats:
        """The bias that leaves the clients, from what they say of the blanks; (C,), float32."""
        said = opinions_of_bias(self._said(quiet), how).mean(axis=0)
        return self.alter(said, rng).astype(np.float32)

    def _said(self, probs: Floats) -> Floats:
        return probs if self.mechanism is None else self.mechanism.release(probs)


@dataclass(frozen=True, eq=False)
class Said:
    """What M models say, altered or not.

    Attributes:
        pool: shape (M, P, C), on candidates, as if they were in the transfer set ("overlap").
        shared: shape (M, N, C), on texts disjoint from all candidates ("disjoint").
        fresh: shape (M, F, C).
    """

    pool: Floats
    shared: Floats
    fresh: Floats

    def released(self, defence: Defence, rng: np.random.Generator) -> "Said":
        """What leaves."""
        parts = (self.pool, self.shared, self.fresh)
        return Said(*(defence.release(part, rng) for part in parts))


def quantised(bits: int) -> Alter:
    """As a client puts it on the wire."""
    return lambda probs, _: to_probs(to_codes(probs, bits), bits)


def grain_of(bits: int) -> float:
    """The step of the codes."""
    return 1.0 / float(2**bits - 1)


def defences(bits: int, own: Mechanism | None, noise_seed: int, rows: int) -> tuple[Defence, ...]:
    """The rows of the battery: nothing, the experiment itself, obfuscation, clipping, a guarantee.

    The noise of the last two is seeded so that figures repeat; the attacks do not use the seed,
    but who knows it can (the audit shows that).

    Args:
        bits: of the experiment's wire.
        own: the experiment's own mechanism, if it has one.
        noise_seed: of the last two rows.
        rows: N, for what noise on N answers is worth at worst.
    """
    seeded = DpGd(epsilon_target=EPSILON, noise_seed=noise_seed)
    return (
        Defence("float32", "nothing at all", lambda p, _: p, FLOAT, control=True),
        at_width(bits, "this experiment's own release", own),
        replace(at_width(1, "1 bit: the favourite alone"), name="hard label"),
        *obfuscations(bits, rows),
        clipped(bits, own if isinstance(own, DpGd) else seeded, noise_seed),
        replace(
            at_width(bits, "teachers trained by dp_gd; a guarantee", seeded),
            name=f"DP, epsilon {EPSILON:g}",
        ),
    )


def clipped(bits: int, how: DpGd, noise_seed: int) -> Defence:
    """The baseline of a guarantee: the same training and clipping, and next to no noise.

    It tells what clipping does and what noise does (Aerni, Zhang, Tramer. *Evaluations of Machine
    Learning Privacy Defenses are Misleading*, CCS 2024, https://arxiv.org/abs/2404.17399, ask for
    a baseline that is tuned without regard to epsilon).

    Args:
        bits: of the wire.
        how: the guarantee of which it is the baseline.
        noise_seed: of what noise there is.
    """
    loose = replace(how, epsilon_target=_VACUOUS, budget=None, noise_seed=noise_seed)
    about = f"dp_gd with next to no noise (epsilon {_VACUOUS:,.0f}); no promise"
    return replace(at_width(bits, about, loose), name="clipping alone")


def at_width(bits: int, about: str, mechanism: Mechanism | None = None) -> Defence:
    """What a client sends at a width of codes, and nothing else is done to it."""
    return Defence(f"{bits} bits", about, quantised(bits), grain_of(bits), mechanism)


def obfuscations(bits: int, rows: int) -> tuple[Defence, ...]:
    """What is often taken for privacy: softened, rounded and noisy answers.

    Args:
        bits: of the wire.
        rows: N, for what noise on N answers is worth at worst.
    """
    wire, grain = quantised(bits), grain_of(bits)
    worst = epsilon_of(math.sqrt(2 * rows) / _NOISE, 1e-5)
    return (
        Defence(f"temperature {_WARMTH:g}", "softened; no promise", _warmed(wire), grain),
        Defence("2 decimals", "rounded; no promise", _rounded, 10.0**-_DECIMALS),
        Defence(
            f"noise {_NOISE:g}",
            f"Gaussian noise on answers; worst-case epsilon {worst:,.0f}: obfuscation",
            _noised(wire),
            grain,
        ),
    )


def _warmed(then: Alter) -> Alter:
    def alter(probs: Floats, rng: np.random.Generator) -> Floats:
        return then(_scaled(np.maximum(probs, FLOAT) ** (1 / _WARMTH)), rng)

    return alter


def _rounded(probs: Floats, rng: np.random.Generator) -> Floats:
    del rng
    made: Floats = np.round(probs.astype(np.float64), _DECIMALS)
    return made


def _noised(then: Alter) -> Alter:
    def alter(probs: Floats, rng: np.random.Generator) -> Floats:
        noised = np.maximum(probs + _NOISE * rng.normal(size=probs.shape), 0) + FLOAT
        return then(_scaled(noised), rng)

    return alter


def _scaled(rows: Floats) -> Floats:
    made: Floats = rows / rows.sum(axis=-1, keepdims=True)
    return made
