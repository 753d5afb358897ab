"""What methods disclose, as Markdown: a row for each in a table, a section for one alone."""

from collections.abc import Iterator

from simulations.disclosing import Disclosure, disclosure
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.headers import methods


def rows(folder: str) -> list[str]:
    """A table of what each method has cross, for a page from which ``folder`` is theirs."""
    made = [
        "| method | up, per client and round | down, before each later round "
        "| bytes per client, all rounds | public labels |",
        "|---|---|---|---|---|",
    ]
    return made + [
        f"| [`{name}`]({folder}{name}.md) | {' | '.join(_row(read(name)))} |" for name in methods()
    ]


def _row(made: Experiment) -> Iterator[str]:
    crosses = disclosure(made)
    said = [f"{one['field']} {one['shape']}" for one in crosses.up if one["client_derived"]]
    if crosses.subclasses > 1:
        said[0] += f" ({crosses.labels} labels of {crosses.subclasses} subclasses)"
    first = " at first" if crosses.shrinks else ""
    width = "" if made.wire.secure_sum else f", {_bits(made.wire.bits)}"
    yield f"{', '.join(said)}{width}: {crosses.bytes_up:,} bytes{first}"
    yield _back(crosses) or "nothing"
    yield _total(crosses)
    yield f"of {crosses.known} texts" if crosses.label_keys else "none"


def _back(crosses: Disclosure) -> str:
    if not crosses.bytes_back:
        return ""
    first = " at first" if crosses.shrinks else ""
    shape = f"{crosses.asked} x {crosses.labels}"
    what = f"feedback `{crosses.feedback}` {shape}, {_bits(crosses.bits_down or 0)}"
    return f"{what}: {crosses.bytes_back:,} bytes{first}"


def _bits(width: int) -> str:
    return f"in {width} bit{'s' if width > 1 else ''}"


def _total(crosses: Disclosure) -> str:
    later = len(crosses.loads) - 1
    up = crosses.bytes_up * (later + 1)
    down = crosses.bytes_asked * (later + 1) + crosses.bytes_back * later
    fixed = crosses.exact and crosses.everyone and not crosses.shrinks
    most = "" if fixed else "at most "
    return f"{most}{up:,} up, {down:,} down"


def disclosed(made: Experiment) -> Iterator[str]:
    """What an experiment has cross, field by field, and which labels must be public."""
    crosses = disclosure(made)
    most = "" if crosses.exact else " at most (whole documents are shared, so some fewer may be)"
    split = f", each in {crosses.subclasses} subclasses" if crosses.subclasses > 1 else ""
    yield f"N = {crosses.rows:,} shared texts{most}, C = {crosses.labels} labels{split}."
    yield ""
    yield "**Up**, per client and round, and nothing else:"
    yield from ("", "| field | type | shape | bytes |", "|---|---|---|---|")
    for one in crosses.up:
        yield f"| {one['field']} | {one['type']} | {one['shape']} | {one['bytes_per_message']:,} |"
    yield f"| together | | | {crosses.bytes_up:,} |"
    yield ""
    if crosses.shrinks:
        yield (
            "That is the first round. Later rounds ask about fewer texts; which, and so how many "
            "bytes, follows from the texts themselves."
        )
        yield ""
    yield from _down(crosses)
    yield ""
    yield _labels(crosses)


def _down(crosses: Disclosure) -> Iterator[str]:
    back, asked = _back(crosses), f"{crosses.bytes_asked} bytes of question"
    yield f"**Down**, per client and round: {asked}" + (
        f"; before every later round {back}, the same for everyone." if back else "."
    )
    rounds = len(crosses.loads)
    yield f"In {'one round' if rounds == 1 else f'{rounds} rounds'}: {_total(crosses)}."


def _labels(crosses: Disclosure) -> str:
    if not crosses.label_keys:
        return "**Public labels**: none."
    keys = " and ".join(f"`{key}`" for key in crosses.label_keys)
    return f"**Public labels**: those of {crosses.known} shared texts, for {keys}."
