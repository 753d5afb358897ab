"""What a picture is asked for, and the grids of runs that it consists of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from common.failures import ConfigError
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.sweeping.asked import DEFAULT_SEEDS
from simulations.sweeping.asked import Asked as Swept

OFF = "off"
EPSILONS = (8.0, 4.0, 2.0, 1.0)
BITS = (16, 8, 4, 2, 1)
PLAIN, PRIVATE = "plain", "private"
"""The two sweeps: without a guarantee, and with one."""

HEADS = ("clients.teacher = 'frozen_linear'", "clients.mechanism = { kind = 'dp_gd' }")
"""How clients are trained privately where the experiment does not say how."""

_UNGUARDED = "clients.mechanism = 'none'"
_EPSILON = "clients.mechanism.epsilon_target"


@dataclass(frozen=True)
class Asked:
    """One picture.

    Attributes:
        source: a shipped name or a TOML file.
        overrides: TOML assignments that hold for every run.
        private: TOML assignments that hold for runs with a guarantee only.
        epsilons: of the guarantees, beside none.
        bits: widths of a code; the experiment's own is always among them.
        seeds: everything is run once with each.
        battery: how many models are attacked.
        full: whether every epsilon meets every width; if not, guarantees are measured at the
            experiment's own width, and widths without a guarantee.
    """

    source: str
    overrides: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    epsilons: tuple[float, ...] = EPSILONS
    bits: tuple[int, ...] = BITS
    seeds: tuple[int, ...] = DEFAULT_SEEDS
    battery: Literal["quick", "full"] = "quick"
    full: bool = False


@dataclass(frozen=True)
class Level:
    """One strength of privacy.

    Attributes:
        epsilon: of one training; None without a guarantee.
        experiment: of its runs, but for seed and width.
        bits: the widths at which it is measured.
        overrides: that make the experiment from the source.
    """

    epsilon: float | None
    experiment: Experiment
    bits: tuple[int, ...]
    overrides: tuple[str, ...]


def levels(asked: Asked) -> tuple[Level, ...]:
    """All strengths, the first without a guarantee, then the weakest guarantee first.

    Raises:
        ConfigError: one is no runnable experiment, or nobody could attack it.
    """
    base = read(asked.source, list(asked.overrides))
    if base.wire.secure_sum:
        raise ConfigError(
            "wire.secure_sum: in a secure sum there is no release of one client to attack; write "
            "--set 'wire.secure_sum = false'"
        )
    widths = tuple(sorted({*asked.bits, base.wire.bits}, reverse=True))
    some = widths if asked.full else (base.wire.bits,)
    told = [
        (None, widths, (*asked.overrides, _UNGUARDED)),
        *(
            (e, some, (*guarded(asked, base), f"{_EPSILON} = {e}"))
            for e in sorted(asked.epsilons, reverse=True)
        ),
    ]
    return tuple(
        Level(epsilon, read(asked.source, list(overrides)), bits, overrides)
        for epsilon, bits, overrides in told
    )


def guarded(asked: Asked, base: Experiment) -> tuple[str, ...]:
    """The overrides of runs with a guarantee, but for its epsilon.

    An experiment with a guarantee of its own keeps teacher and mechanism; any other gets
    :data:`HEADS`, for only heads on frozen features can be trained so.
    """
    own = base.clients.mechanism
    heads = () if own is not None and own.unit != "none" else HEADS
    return (*asked.overrides, *heads, *asked.private)


def swept(asked: Asked, made: Sequence[Level]) -> dict[str, Swept]:
    """The sweeps by the name of their folder."""
    off, *some = made
    epsilons = (_EPSILON, tuple(level.epsilon for level in some))
    base = read(asked.source, list(asked.overrides))

    def grid(overrides: tuple[str, ...], *vary: tuple[str, tuple[object, ...]]) -> Swept:
        return Swept(asked.source, asked.source, overrides, vary, asked.seeds)

    return {
        PLAIN: grid(off.overrides, ("wire.bits", off.bits)),
        PRIVATE: grid(guarded(asked, base), epsilons, ("wire.bits", some[0].bits)),
    }


def read_epsilons(text: str) -> tuple[float, ...]:
    """``off,8,4`` as numbers; ``off`` always stands beside them and may be left out.

    Raises:
        ConfigError: something else stands there.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        found = tuple(float(part) for part in parts if part != OFF)
    except ValueError:
        found = ()
    if not found or len(set(found)) < len(found) or not all(0 < e < 1e6 for e in found):
        raise ConfigError(
            f"--epsilons {text!r}: write different positive numbers with commas between, 8,4,2,1"
        )
    return found


def read_bits(text: str) -> tuple[int, ...]:
    """``16,8,1`` as widths of a code.

    Raises:
        ConfigError: something else stands there.
    """
    parts = [part.strip() for part in text.split(",")]
    allowed = {str(width): width for width in BITS}
    if not set(parts) <= set(allowed) or len(set(parts)) < len(parts):
        raise ConfigError(f"--bits {text!r}: write different widths out of 16,8,4,2,1")
    return tuple(allowed[part] for part in parts)
