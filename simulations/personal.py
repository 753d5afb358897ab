"""What the clients themselves got out of it: each one's model before and after the rounds.

Only the observer may ask: this opens the clients' stores. Nothing of it was part of the run.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from common.arrays import Ints
from simulations.datasets import Corpus
from simulations.examination import Answers, Examination, Metrics
from simulations.opened import Opened
from simulations.split import Split

_WHEN = ("before", "after")


def before_and_after(opened: Opened, corpus: Corpus, parts: Split) -> list[dict[str, Any]]:
    """The ``personal`` of ``summary.json``: one entry for each client that has a model.

    Returns:
        ``client``; ``refined``, how often its model went on from the one before; ``before`` and
        ``after``, metrics of its first and last model on all test rows; ``own``, the same on
        the test rows of the only natural group that the client holds, with ``group`` and the
        number of ``texts``, or None where it holds several or none is left for the test.
    """
    first, exam = opened.alone(), opened.exam
    return [
        {"client": client, "refined": _refined(opened, client)}
        | _compared(exam, first[client], _last(opened, client))
        | {"own": _own(exam, first[client], _last(opened, client), corpus, (parts, client))}
        for client in sorted(first)
    ]


def _refined(opened: Opened, client: int) -> int:
    return len([n for n in opened.stores[client].teacher_rounds() if n > 1])


def _last(opened: Opened, client: int) -> Answers:
    """Of the newest model that is not damaged."""
    store = opened.stores[client]
    stored = (store.teacher(number) for number in reversed(store.teacher_rounds()))
    tensors = next(found for found in stored if found is not None)
    return opened.predicted(client, tensors)


def _compared(exam: Examination, first: Answers, last: Answers) -> dict[str, Metrics]:
    return {"before": exam.grade(*first), "after": exam.grade(*last)}


def _own(
    exam: Examination, first: Answers, last: Answers, corpus: Corpus, who: tuple[Split, int]
) -> dict[str, Any] | None:
    parts, client = who
    held: Ints = np.unique(corpus.groups[parts.clients[client]])
    if len(held) != 1:
        return None
    rows = corpus.groups[parts.test] == held[0]
    if not rows.any():
        return None
    gold = None if exam.gold is None else exam.gold[rows]
    part = replace(exam, labels=exam.labels[rows], gold=gold)
    answers = ((test[rows], public) for test, public in (first, last))
    about = {"group": corpus.group_names[held[0]], "texts": int(rows.sum())}
    return about | _compared(part, *answers)


def line(personal: list[dict[str, Any]]) -> str:
    """The same in one line for a person: means over clients."""
    told = []
    for where, found in (("all test texts", personal), ("its own", [p["own"] for p in personal])):
        if found and all(found):
            was, now = (np.mean([p[when]["accuracy"] for p in found]) for when in _WHEN)
            told.append(f"{was:.3f} -> {now:.3f} on {where}")
    return f"a client's own model, mean accuracy before -> after: {', '.join(told)}"
