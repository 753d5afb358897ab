"""``fedknot bench rounds``: many rounds on end; what grows with them, and what does not."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from common.failures import FolderError
from common.files import read_lines
from simulations.benches._command import COMMAND
from simulations.benches._growth import growth, pace, storage
from simulations.benches._small_world import NAME, overrides
from simulations.benches._watched import temporary, watched
from simulations.events import Progress

SAMPLE_SECONDS: Final = 2.0


def rounds_bench(
    rounds: int,
    clients: int,
    backend: str,
    report: Progress,
    *,
    out: Path | None = None,
    every: float | None = None,
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Run the small world for many rounds, and read its processes from outside all the while.

    Args:
        rounds: R.
        clients: K.
        backend: "ray" or "inline", where all is in one process.
        report: told ("rounds", rounds that have ended, R).
        out: a new or empty folder, which is kept; None for a temporary one.
        every: seconds between two samples; None for :data:`SAMPLE_SECONDS`.
        command: how ``fedknot`` is called; None for :data:`COMMAND`.

    Returns:
        Plain numbers, strings, lists and dicts: see :mod:`simulations.benches._growth`.

    Raises:
        FolderError: the folder is not empty.
        Failure: the run fails, or no round ends for a quarter of an hour.
    """
    words = [NAME, "--backend", backend, "--set", overrides(clients, rounds, 7)]
    with _home(out) as home:
        seen = watched(
            words,
            home,
            command or COMMAND,
            every or SAMPLE_SECONDS,
            lambda done: report("rounds", done, rounds),
        )
        seconds = [line["seconds"] for line in read_lines(seen.folder / "rounds.jsonl")]
    return {
        "schema": 1,
        "plan": {"rounds": rounds, "clients": clients, "backend": backend},
        "seconds": round(seen.seconds, 1),
        "seconds_per_round": pace(seconds),
        "samples": len(seen.samples),
        "processes": growth(seen.samples, rounds),
        "folder": storage(seen.shelves, rounds),
    }


def lines(made: dict[str, Any]) -> list[str]:
    """The same for a person."""
    pace_ = made["seconds_per_round"]
    shown = [
        "{rounds} rounds x {clients} clients, {backend}".format(**made["plan"])
        + f": {made['seconds']:.0f} s, {made['samples']} samples",
        f"seconds per round: mean {pace_['mean']:.3f}, first tenth {pace_['first']:.3f}, "
        f"last tenth {pace_['last']:.3f}",
        "",
        f"{'':10}{'n':>3}{'RSS MB':>9}{'peak':>8}{'USS MB':>9}  kB per round [95 %] over the last "
        "75 %",
    ]
    for kind, about in made["processes"].items():
        shown += _lines_of(kind, about)
    folder = made["folder"]
    shown += ["", f"run folder: {folder['files']:,} files, {folder['bytes'] / 1e6:.1f} MB"]
    if folder["files_per_round"] is not None:
        each = [folder[f"{what}_per_round"]["value"] for what in ("files", "bytes")]
        shown.append(f"  a round adds {each[0]:.1f} files and {each[1] / 1e3:.1f} kB")
    return shown


def _lines_of(kind: str, about: dict[str, Any]) -> list[str]:
    uss = "-" if about["uss_mb"] is None else f"{about['uss_mb']:.1f}"
    head = f"{kind:10}{about['processes']:3}{about['rss_mb']:9.1f}{about['peak_mb']:8.1f}{uss:>9}"
    shown = [f"{head}  RSS {_interval(about['rss'])}"]
    if about["uss"] is not None:
        shown.append(f"{'':39}  USS {_interval(about['uss'])}")
    if about["descriptors_slope"] is not None:
        told = _interval(about["descriptors_slope"])
        shown.append(f"{'':39}  descriptors {about['descriptors']:.0f}, per round {told}")
    return shown


def _interval(told: dict[str, Any]) -> str:
    verdict = "flat" if told["flat"] else "GROWS"
    return f"{told['value']:.2f} [{told['low']:.2f}, {told['high']:.2f}] {verdict}"


def _home(out: Path | None) -> contextlib.AbstractContextManager[Path]:
    """The folder that was given, or one for a while."""
    return temporary("rounds") if out is None else contextlib.nullcontext(_made(out))


def _made(out: Path) -> Path:
    if out.is_dir() and any(out.iterdir()):
        raise FolderError(f"{out} exists and is not empty; give another --out")
    out.mkdir(parents=True, exist_ok=True)
    return out.resolve()
