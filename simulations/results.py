"""From Python: ``run`` an experiment, ``sweep`` a grid, ``load`` a run, look at its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.arrays import Floats
from common.failures import FolderError
from common.files import read_json, read_lines
from server.archive import open_reader, open_student
from server.distil import predict
from simulations.comparing.choices import Asked
from simulations.events import silent
from simulations.experiment_file import read
from simulations.folder import summary_of
from simulations.runner import Backend, execute

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Result:
    """A finished run, read from its folder."""

    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of ``summary.json``."""
        return summary_of(self.folder)

    @cached_property
    def rounds(self) -> "pd.DataFrame":
        """One line per round."""
        import pandas as pd

        return pd.json_normalize(read_lines(self.folder / "rounds.jsonl"))

    @cached_property
    def clients(self) -> "pd.DataFrame":
        """One line per client: status, reason, bytes, seconds."""
        import pandas as pd

        return pd.read_csv(self.folder / "clients.csv")

    def student(self, texts: Sequence[str]) -> Floats:
        """Soft predictions of shape (N, C), float32, for any texts."""
        return predict(open_student(self.folder), open_reader(self.folder).read(list(texts)))

    def plot(self) -> "Figure":
        """Teachers against student, as in the report."""
        from simulations.reporting.figures import teachers_figure

        return teachers_figure(read_json(self.folder / "pictures.json"), self.summary)


def run(
    experiment: str = "quickstart",
    *,
    seed: int | None = None,
    overrides: str | Sequence[str] = (),
    out: str | Path | None = None,
    backend: Backend = "ray",
) -> Result:
    """Run an experiment and return its result.

    Args:
        experiment: a shipped name or a TOML file.
        seed: wins over the file and ``overrides``.
        overrides: TOML assignments such as ``"data.num_clients = 8"``.
        out: the run folder; by default ``runs/<experiment>-<seed>-<time>``.
        backend: "ray" or "inline", with the same bits; "auto" for what can run here.
    """
    listed = [overrides] if isinstance(overrides, str) else list(overrides)
    made = read(experiment, listed, seed)
    where = None if out is None else Path(out)
    folder = execute(made, experiment, out=where, backend=backend, address=None, progress=silent)
    return Result(folder)


@dataclass(frozen=True)
class Comparison:
    """A finished comparison, read from its folder."""

    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of ``compare.json``."""
        made: dict[str, Any] = read_json(self.folder / "compare.json")
        return made

    @cached_property
    def results(self) -> "pd.DataFrame":
        """One line per arm, seed and metric; ``results.csv``."""
        return _frame(self.folder / "results.csv")


def compare(  # noqa: PLR0913 - the four lists, and how they are run
    experiment: str = "quickstart",
    *,
    losses: Sequence[str] | None = None,
    weightings: Sequence[str] | None = None,
    aggregators: Sequence[str] | None = None,
    geometries: Sequence[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    overrides: str | Sequence[str] = (),
    out: str | Path | None = None,
    backend: Backend = "inline",
) -> Comparison:
    """Train every arm on the same predictions, and hold each against its controls.

    Args:
        experiment: a shipped name or a TOML file.
        losses: kinds, or inline tables such as ``"{ kind = 'sinkhorn', epsilon = 0.05 }"``.
        weightings: likewise.
        aggregators: likewise.
        geometries: likewise.
        seeds: one base run each.
        overrides: TOML assignments.
        out: the folder; one that was begun before is continued.
        backend: of the base runs.
    """
    from simulations.comparing import comparison

    typed = (losses, weightings, aggregators, geometries)
    asked = Asked(*(None if words is None else ",".join(words) for words in typed))
    listed = [overrides] if isinstance(overrides, str) else list(overrides)
    made = read(experiment, listed)
    call = comparison.Call(made, experiment, asked, tuple(seeds), backend)
    return Comparison(comparison.compare(call, None if out is None else Path(out), silent))


@dataclass(frozen=True)
class Sweep:
    """A finished sweep, read from its folder; some of its cells may have failed."""

    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of ``sweep.json``."""
        made: dict[str, Any] = read_json(self.folder / "sweep.json")
        return made

    @cached_property
    def results(self) -> "pd.DataFrame":
        """One line per complete cell and metric; ``results.csv``."""
        return _frame(self.folder / "results.csv")

    @cached_property
    def means(self) -> "pd.DataFrame":
        """One line per setting and metric, with intervals over seeds; ``means.csv``."""
        return _frame(self.folder / "means.csv")

    @cached_property
    def cells(self) -> "pd.DataFrame":
        """One line per cell: how it ended, why, and where it is; ``cells.csv``."""
        return _frame(self.folder / "cells.csv")


def sweep(  # noqa: PLR0913 - what is varied, and how it is run
    name: str,
    *,
    vary: Mapping[str, Sequence[Any]] | Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    overrides: str | Sequence[str] = (),
    out: str | Path | None = None,
    backend: Backend = "inline",
    jobs: int = 1,
    keep: Literal["figures", "all"] = "figures",
) -> Sweep:
    """Run a grid of experiments over seeds. Failed cells are told, not raised.

    Args:
        name: a shipped sweep or experiment, or a TOML file of either sort.
        vary: values by dotted key, or TOML assignments of lists.
        seeds: one run each per setting; 0, 1, 2 if a sweep file says nothing else.
        overrides: TOML assignments that hold for every cell.
        out: the folder; one that was begun before is continued.
        backend: of the runs.
        jobs: how many run at a time.
        keep: "figures" for what tables need of each run folder, "all" for all of it.
    """
    from simulations.sweeping import sweep as sweeping
    from simulations.sweeping.asked import assignments, typed

    told = assignments(vary) if isinstance(vary, Mapping) else list(vary)
    listed = [overrides] if isinstance(overrides, str) else list(overrides)
    asked, how = typed(name, told, seeds, listed), sweeping.How(backend, jobs, keep)
    return Sweep(sweeping.sweep(asked, None if out is None else Path(out), how, silent))


def _frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def load(folder: str | Path) -> Result:
    """The result in a run folder.

    Raises:
        FolderError: it is not a finished run.
    """
    result = Result(Path(folder))
    if (status := result.summary["status"]) != "complete":
        raise FolderError(f"{folder} holds a run that is {status}; there is no student in it")
    return result
