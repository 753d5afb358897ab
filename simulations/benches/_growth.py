"""From samples of a long run to what grows in it, and what does not."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean, median
from typing import Any, Final

from simulations.benches._gauge import Sample, Shelf
from simulations.benches._processes import IDLE
from simulations.benches._slope import slope

_WARMING: Final = 0.25  # of the rounds: caches fill, allocators settle
_LITTLE: Final = 0.02  # of its memory: growth over a whole run that counts as none
_SHOWN: Final = 20


def pace(seconds: Sequence[float]) -> dict[str, float]:
    """Seconds per round: mean, and those of the first and of the last tenth."""
    tenth = max(1, len(seconds) // 10)
    named = {"mean": seconds, "first": seconds[:tenth], "last": seconds[-tenth:]}
    return {name: round(fmean(of), 4) for name, of in named.items()}


def growth(samples: Sequence[Sample], rounds: int) -> dict[str, dict[str, Any]]:
    """What processes of each kind have, and how that changes over the last 75 % of the rounds.

    Memory counts as flat if the 95 % interval of its slope reaches down to 0, or if at that slope
    it would grow by less than 2 % of itself over all rounds. So do descriptors.

    Args:
        samples: of all kinds, in any order.
        rounds: R.

    Returns:
        For every kind that is there long enough: ``processes`` (median), ``rss_mb`` and ``uss_mb``
        (mean), ``peak_mb``, ``rss`` and ``uss`` (kB per round: value, low, high, flat),
        ``descriptors`` (mean) and ``descriptors_slope`` (per round).
    """
    late = [sample for sample in samples if _is_late(sample.round, rounds)]
    kinds = sorted({sample.kind for sample in late} - {IDLE})
    made = {kind: _of_kind([s for s in late if s.kind == kind], rounds) for kind in kinds}
    return {kind: about for kind, about in made.items() if about["rss"] is not None}


def storage(shelves: Sequence[Shelf], rounds: int) -> dict[str, Any]:
    """Files and bytes in the run folder by round, and what a round adds."""
    late = [shelf for shelf in shelves if _is_late(shelf.round, rounds)]
    across, last = [shelf.round for shelf in late], {shelf.round: shelf for shelf in shelves}
    step = max(1, math.ceil(len(last) / _SHOWN))
    return {
        "files": shelves[-1].files,
        "bytes": shelves[-1].bytes,
        "files_per_round": _line(across, [shelf.files for shelf in late], rounds),
        "bytes_per_round": _line(across, [shelf.bytes for shelf in late], rounds),
        "by_round": [asdict(shelf) for shelf in [*list(last.values())[:-1:step], shelves[-1]]],
    }


def _is_late(done: int, rounds: int) -> bool:
    """In the last 75 %, while rounds go on: what comes after them is not the server's."""
    return _WARMING * rounds <= done < rounds


def _of_kind(samples: Sequence[Sample], rounds: int) -> dict[str, Any]:
    across, rss = [s.round for s in samples], [s.rss_kb for s in samples]
    uss = [s.uss_kb for s in samples if s.uss_kb is not None]
    fds = [s.descriptors for s in samples if s.descriptors is not None]
    whole_uss, whole_fds = len(uss) == len(samples), len(fds) == len(samples)
    return {
        "processes": round(median(s.processes for s in samples)),
        "rss_mb": round(fmean(rss) / 1e3, 2),
        "peak_mb": round(max(rss) / 1e3, 2),
        "uss_mb": round(fmean(uss) / 1e3, 2) if whole_uss else None,
        "rss": _line(across, rss, rounds),
        "uss": _line(across, uss, rounds) if whole_uss else None,
        "descriptors": round(fmean(fds), 1) if whole_fds else None,
        "descriptors_slope": _line(across, fds, rounds) if whole_fds else None,
    }


def _line(across: Sequence[int], up: Sequence[float], rounds: int) -> dict[str, Any] | None:
    """A slope, and whether what has it stays as it is; None without points enough."""
    found = slope(across, up)
    if found is None:
        return None
    little = found.value * rounds < _LITTLE * fmean(up)
    made = {key: round(value, 4) for key, value in asdict(found).items()}
    return made | {"flat": found.low <= 0.0 or little}
