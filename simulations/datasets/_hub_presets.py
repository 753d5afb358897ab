"""Well-known data sets of the Hugging Face hub: names, columns, labels.

Names and columns are as their cards give them. They are written down, not run: there was
no hub at hand when they were.
"""

from dataclasses import dataclass, field
from typing import Final

from simulations.datasets._columns import Cleaning, Columns
from simulations.datasets._labels import Labels

_SENTIMENT2: Final = Labels(names=("negative", "positive"), values=("0", "1"))
_NLI: Final = Labels(
    names=("entailment", "neutral", "contradiction"), values=("0", "1", "2"), geometry="nli"
)
_FOLLOWS: Final = Labels(names=("entailment", "no entailment"), values=("0", "1"))
_IMPLIED: Final = Labels(names=("not entailment", "entailment"), values=("0", "1"))
_SAME: Final = Labels(names=("different", "equivalent"), values=("0", "1"))
_STARS: Final = ("very negative", "negative", "neutral", "positive", "very positive")
_TOLD: Final = Cleaning(drop_unlabelled=True, near_duplicates=False)


@dataclass(frozen=True)
class Preset:
    """What to ask the hub for, and how to read what it gives.

    Attributes:
        name: of the data set on the hub, or of a loader (``json``).
        labels: the label names and their geometry.
        columns: which column holds what.
        config: the configurations; several are one natural client each.
        split: the rows to draw from.
        test_split: the labelled rows of the test set; empty for none.
        revision: a branch, tag or commit; empty for the default one.
        data_files: for a loader: where its files are; ``{config}`` stands for each
            configuration.
        cleaning: what happens to rows first.
    """

    name: str
    labels: Labels
    columns: Columns
    config: tuple[str, ...] = ()
    split: str = "train"
    test_split: str = ""
    revision: str = ""
    data_files: str = ""
    cleaning: Cleaning = field(default=_TOLD)


def _glue(config: str, labels: Labels, first: str, second: str | None = None) -> Preset:
    """GLUE publishes no labels of its test parts: the validation part is the test set."""
    test = "validation_matched" if config == "mnli" else "validation"
    columns = Columns(text=first, text_pair=second)
    return Preset("nyu-mll/glue", labels, columns, config=(config,), test_split=test)


PRESETS: Final = {
    "amazon": Preset(
        "json",
        Labels(names=_STARS, values=("1", "2", "3", "4", "5"), geometry="sentiment5"),
        Columns(text="text", label="rating", document="parent_asin"),
        config=("All_Beauty", "Digital_Music", "Gift_Cards", "Magazine_Subscriptions"),
        data_files="hf://datasets/McAuley-Lab/Amazon-Reviews-2023/raw/review_categories/"
        "{config}.jsonl",
    ),
    "cola": _glue(
        "cola", Labels(names=("unacceptable", "acceptable"), values=("0", "1")), "sentence"
    ),
    "daily_dialog": Preset(
        "li2017dailydialog/daily_dialog",
        Labels(
            names=("neutral", "anger", "disgust", "fear", "joy", "sadness", "surprise"),
            values=("0", "1", "2", "3", "4", "5", "6"),
            geometry="emotion7",
        ),
        Columns(text="dialog", label="emotion"),
        test_split="test",
        revision="refs/convert/parquet",
    ),
    "mnli": _glue("mnli", _NLI, "premise", "hypothesis"),
    "mrpc": _glue("mrpc", _SAME, "sentence1", "sentence2"),
    "multi_nli": Preset(
        "nyu-mll/multi_nli",
        _NLI,
        Columns(text="premise", text_pair="hypothesis", group="genre", document="promptID"),
        test_split="validation_matched",
    ),
    "qnli": _glue("qnli", _FOLLOWS, "question", "sentence"),
    "qqp": _glue("qqp", _SAME, "question1", "question2"),
    "rte": _glue("rte", _FOLLOWS, "sentence1", "sentence2"),
    "snli": Preset(
        "stanfordnlp/snli",
        _NLI,
        Columns(text="premise", text_pair="hypothesis"),
        test_split="test",
    ),
    "sst2": _glue("sst2", _SENTIMENT2, "sentence"),
    "sst5": Preset(
        "SetFit/sst5",
        Labels(names=_STARS, values=("0", "1", "2", "3", "4"), geometry="sentiment5"),
        Columns(text="text", label="label"),
        test_split="test",
    ),
    "wnli": _glue("wnli", _IMPLIED, "sentence1", "sentence2"),
}
"""Every preset by its name. With ``amazon``, products are documents and categories clients.

Of GLUE's tasks two are missing: ``stsb`` is a regression, its scores from 0 to 5 are no labels, and
``ax`` has neither a training part nor published labels.
"""
