"""What a setting has cross instead of plain predictions, or beside them, and how long that is."""

from dataclasses import replace
from typing import Any, Final

from common.terms import Terms

_ROWS, _LABELS, _SUBCLASSES, _BITS = 2000, 5, 4, 8
_SHARE: Final = 0.2
_LABELS_NEEDED: Final = "nothing else; the server needs public labels (`data.labelled_transfer`)"
LABELLED: Final = ("server.label_weight", "server.pretraining", "server.fine_tuning")
"""Settings, beside weightings and reweightings, that need public labels."""

_WHERE: Final = f"{_ROWS:,} texts, {_LABELS} labels, {_BITS} bits"

_UP: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("nothing else", "N x C codes", {}),
    ("`server.weighting = 'knot'`", "and a row of C codes, the bias", {"disclosed": ("bias",)}),
    (
        "`disclose = ['familiarity', 'num_examples']`",
        "and a code for every text, and a number of 4 bytes",
        {"disclosed": ("familiarity", "num_examples")},
    ),
    (
        f"`clients.subclasses`, S = {_SUBCLASSES}",
        "N x C x S codes instead, which say more than their sums",
        {"subclasses": _SUBCLASSES},
    ),
    ("`wire.bits = 1`", "N x C codes of a bit: the label it holds for likeliest", {"bits": 1}),
    (
        "`wire.secure_sum = true`",
        "a public key, then masked words of which only the sum over clients can be read",
        {"secure_sum": {"rule": "uniform", "crowd": 2}},
    ),
)


def crossings() -> list[str]:
    """The rows of a table, with lengths from the terms of a run that has the setting."""
    rows = [f"| setting | crosses, per client and round | bytes: {_WHERE} |", "|---|---|---|"]
    for setting, what, changed in _UP:
        rows.append(f"| {setting} | {what} | {_terms(changed).answer_bytes:,} up |")
    down = _terms({"bits_down": _BITS}).layout_down
    assert down is not None, "it says something"
    rows.append(
        "| `server.feedback` | and down, before every later round, N x C codes: the consensus "
        f"or the student's answers, the same for everyone | {down.length:,} down |"
    )
    part = _terms({"cache": {"share": _SHARE, "duration": 50}}).answer_bytes_of(1)
    rows.append(
        f"| `server.cache`, a share of {_SHARE:g} | codes of those texts alone that a round draws "
        f"and whose label is not known yet, up and down | {part:,} up, later less |"
    )
    rows += [f"| `{key}` | {_LABELS_NEEDED} | {_terms({}).answer_bytes:,} up |" for key in LABELLED]
    return rows


def _terms(changed: dict[str, Any]) -> Terms:
    made = Terms(
        run="",
        site="",
        num_rounds=2,
        num_clients=2,
        k_min=2,
        labels=tuple(map(str, range(_LABELS))),
        points=[],
        cost=[],
        rows=_ROWS,
        transfer_sha256="0" * 64,
        blanks="",
        blanks_sha256="",
        bits=_BITS,
        disclosed=(),
        encoder={},
    )
    return replace(made, **changed)
