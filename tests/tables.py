"""Small tables of labelled texts, for data sets that read what the user names."""

import csv

import numpy as np

from common.configure import dump, load
from simulations.experiment import Experiment
from simulations.experiment_file import to_toml
from tests.worlds import tiny_with

LABELS = {"names": ["bad", "fair", "good"]}


def rows(count=60):
    """``count`` different texts of three labels and two sites."""
    rng = np.random.default_rng(5)
    words = np.array(["".join(rng.choice(list("abcdefgh"), 5)) for _ in range(2000)])
    return [
        {
            "text": " ".join(rng.choice(words, 8)),
            "label": LABELS["names"][i % 3],
            "site": "north" if i % 2 else "south",
        }
        for i in range(count)
    ]


def write_csv(path, table, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(table)
    return path


def _files(folder):
    path = write_csv(folder / "reviews.csv", rows())
    return {"paths": [str(path)], "labels": LABELS, "columns": {"group": "site"}, "size": 40}


def _hub(folder):
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows()).save_to_disk(folder / "saved")
    path = str(folder / "saved")
    return {"path": path, "labels": LABELS, "columns": {"group": "site"}, "size": 40}


EXAMPLES = {"files": _files, "hub": _hub}
"""From the kind to what makes its settings in a folder."""


def own_experiment(folder):
    """A small experiment over a table of the user's, both written into ``folder``; its path."""
    table = dump(tiny_with("data.partition = 'iid'"))
    settings = _files(folder)
    settings.pop("size")
    table["data"]["dataset"] = {"kind": "files"} | settings
    write_csv(folder / "reviews.csv", rows(240))
    path = folder / "own.toml"
    path.write_text(to_toml(load(Experiment, table)))
    return path


def turn_labels(folder):
    """Change what :func:`own_experiment` wrote: every label becomes its opposite."""
    names = LABELS["names"]
    turned = [row | {"label": names[2 - names.index(row["label"])]} for row in rows(240)]
    write_csv(folder / "reviews.csv", turned)
