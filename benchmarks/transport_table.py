"""What does label geometry buy? Every loss on two splits, with unsure and with sure teachers.

    python benchmarks/transport_table.py [--seeds 100,101,102,103,104] [--out DIR] [--markdown]

Four comparisons (``fedknot compare``), each one set of predictions per seed with every loss on
it and the controls; a call with the same folder goes on where the last one stopped. Prints the
tables of docs/algorithms/transport.md.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from common.files import read_json
from simulations.comparing.choices import Asked
from simulations.comparing.comparison import Call, compare, read_seeds
from simulations.experiment_file import read
from simulations.screen import bars

SPLITS = {
    "four domains": [],
    "ten clients, Dirichlet 0.1": [
        "data.num_clients = 10; data.partition = { kind = 'dirichlet', alpha = 0.1 }"
    ],
}
TEACHERS = {
    "under-confident teachers (200 steps)": [],
    "over-confident teachers (600 steps, twice the rate)": [
        "clients.teacher = { kind = 'frozen_mlp', min_steps = 600, epochs = 36, "
        "learning_rate = 2e-3 }"
    ],
}
COLUMNS = (
    ("accuracy", "raw", "accuracy"),
    ("semantic_distance", "raw", "SD"),
    ("semantic_distance_at_temperature", "raw", "SD at T for likelihood"),
    ("semantic_distance_at_sharpening_temperature", "raw", "SD at T for distance"),
    ("w1", "raw", "W1"),
    ("ece", "raw", "ECE"),
)


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="100,101,102,103,104")
    parser.add_argument("--out", type=Path, default=Path("runs/transport-table"))
    parser.add_argument("--losses", default="all")
    words = parser.parse_args()
    for split, shared in SPLITS.items():
        for teachers, private in TEACHERS.items():
            folder = words.out / f"{split.split(',')[0]} {teachers.split()[0]}".replace(" ", "-")
            made = read("quickstart", [*shared, *private])
            asked = Asked(words.losses, "knot", None, None)
            with bars(quiet=not sys.stderr.isatty()) as progress:
                call = Call(made, "quickstart", asked, read_seeds(words.seeds), "inline")
                compare(call, folder, progress)
            print("\n".join(table(read_json(folder / "compare.json"), f"{split}, {teachers}")))


def table(made: dict[str, Any], title: str) -> list[str]:
    """One comparison as Markdown: arms by raw semantic distance, then what was found."""
    arms = [arm for arm in made["arms"] if arm.get("mean")]
    arms.sort(key=lambda arm: arm["mean"]["raw"]["semantic_distance"])
    head = " | ".join(name for *_, name in COLUMNS)
    lines = [f"**{title[0].upper() + title[1:]}**", "", f"| loss | {head} |"]
    lines.append("|---" * (len(COLUMNS) + 1) + "|")
    for arm in arms:
        cells = " | ".join(_cell(arm, key, kind) for key, kind, _ in COLUMNS)
        name = arm["name"].removeprefix("knot + ")
        lines.append(f"| {'*' + name + '*' if arm['role'] != 'asked' else name} | {cells} |")
    found = [arm["verdict"]["sentence"] for arm in arms if arm.get("verdict")]
    return [*lines, "", *(f"* {sentence}" for sentence in found), ""]


def _cell(arm: dict[str, Any], key: str, kind: str) -> str:
    mean, spread = (arm[part][kind][key] for part in ("mean", "std"))
    return _short(mean) if spread is None else f"{_short(mean)} ± {_short(spread)}"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


if __name__ == "__main__":
    main()
