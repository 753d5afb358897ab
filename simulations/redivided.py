"""The data of a run that was made before, divided once more and held against what it was.

Whoever opens a run folder and needs more of the data than lies in it goes through here: the rows
in ``split.json`` are numbers, and mean something else in other data.
"""

from pathlib import Path

from common.failures import DataError, FolderError
from common.files import read_json
from simulations.datasets import Corpus
from simulations.experiment import Experiment
from simulations.provision import divide
from simulations.saved_split import hashes
from simulations.split import Split

_PARTS = ("clients", "transfer", "validation", "test")


def divide_again(folder: Path, experiment: Experiment) -> tuple[Corpus, Split]:
    """Corpus and split of the run in a folder, as they were when it was provisioned.

    Texts, labels, raters and natural groups are compared by hash, and all rows of all parts. What
    a folder of an earlier version does not say is taken as unchanged.

    Args:
        folder: of a provisioned run.
        experiment: of the run.

    Raises:
        DataError: the data has changed since, or can no longer be read.
        FolderError: the folder does not say how the data was divided.
    """
    corpus, parts = divide(experiment)
    path = folder / "split.json"
    try:
        saved = read_json(path)
        was = {part: saved[part] for part in _PARTS}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise FolderError(f"{path} is missing or damaged; run the experiment anew") from error
    now, found = parts.to_json("", "", ""), hashes(corpus)
    same = all(saved.get(name, digest) == digest for name, digest in found.items())
    if not same or any(was[part] != now[part] for part in _PARTS):
        raise DataError(
            "the data set has changed since this run was provisioned; put back what it was, or "
            "run it anew"
        )
    return corpus, parts
