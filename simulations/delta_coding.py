"""What a coder would have made of the messages of a run. No coder is used on the wire.

Sattler, Marban, Rischke and Samek (*CFD: Communication-Efficient Federated Distillation via
Soft-Label Quantization and Delta Coding*, 2021, https://arxiv.org/abs/2012.00632) code what a
client says by what it said before. Then the length of a message depends on what is said, and tells
something of it; here all messages of a round have one length (ADR 22). What that costs is counted
from the messages that the server took, by a coder that could be had:
:func:`~simulations.code_lengths.adaptive_bits`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.arrays import Ints
from common.quantise import packed_length
from common.records import Layout, decode
from common.terms import Terms
from simulations.code_lengths import adaptive_bits, whole_bytes

_NEVER = -1


@dataclass(frozen=True)
class Sizes:
    """Bytes of one message, header and declared extras included, which no coder touches.

    Attributes:
        plain: as it crossed.
        alone: its codes by an entropy coder.
        delta: codes of texts that the client spoke of before as differences from what it said then.
    """

    plain: int
    alone: int
    delta: int


def coded(folder: Path, terms: Terms, clients: Iterable[int]) -> list[dict[str, Any]]:
    """What coders would have sent, round by round.

    Args:
        folder: the run folder.
        terms: of the run.
        clients: whose messages are counted.

    Returns:
        For each round with messages ``round``, ``messages`` and means of their bytes: ``plain``,
        ``entropy_coded``, ``delta_coded``, and of the last ``least`` and ``largest``. Empty where
        there is one round only, or where messages are masked words, which no coder makes shorter.

    Raises:
        Refused: a message is damaged.
        OSError: one cannot be read.
    """
    if terms.secure is not None or terms.num_rounds == 1:
        return []
    memory = {client: _nothing(terms) for client in clients}
    rounds = {number: _sizes(folder, terms, number, memory) for number in _numbers(terms)}
    return [_row(number, sizes) for number, sizes in rounds.items() if sizes]


def sizes_of(codes: Ints, known: Ints, layout: Layout) -> Sizes:
    """What one message would have been.

    Args:
        codes: shape (N, C), what is said.
        known: shape (N, P), the symbols of what was said last of the same texts; negative where
            nothing was.
        layout: of the message.
    """
    said, alphabet = symbols_of(codes, layout.bits), _alphabet(layout)
    old = (known >= 0).all(axis=1)
    steps = (said[old] - known[old]) % alphabet
    rest = layout.length - packed_length(codes.size, layout.bits)
    parts = [adaptive_bits(part.reshape(-1), alphabet) for part in (steps, said[~old])]
    alone = whole_bytes([adaptive_bits(said.reshape(-1), alphabet)])
    return Sizes(layout.length, rest + alone, rest + whole_bytes(parts))


def symbols_of(codes: Ints, bits: int) -> Ints:
    """What is to be said, shape (N, P), int64: at 1 bit the label, else all codes but the last.

    The last follows from the others, for a row has a known sum.
    """
    told = codes.argmax(axis=1)[:, None] if bits == 1 else codes[:, :-1]
    made: Ints = told.astype(np.int64)
    return made


def _alphabet(layout: Layout) -> int:
    return layout.classes if layout.bits == 1 else int(2**layout.bits)


def _numbers(terms: Terms) -> range:
    return range(1, terms.num_rounds + 1)


def _nothing(terms: Terms) -> Ints:
    """Shape (N, P): no text was ever spoken of."""
    layout = terms.layout
    return np.full((terms.rows, 1 if layout.bits == 1 else layout.classes - 1), _NEVER)


def _sizes(folder: Path, terms: Terms, number: int, memory: dict[int, Ints]) -> list[Sizes]:
    """Of the messages of one round, of the clients in memory, which then know what was said."""
    layout, asked = terms.layout_of(number), terms.asked(number)
    texts = np.arange(terms.rows) if asked is None else asked
    made = []
    for client, known in memory.items():
        path = folder / "releases" / str(number) / f"{client}.bin"
        if path.exists():
            codes = decode(path.read_bytes(), layout, number, client).codes
            made.append(sizes_of(codes, known[texts], layout))
            known[texts] = symbols_of(codes, layout.bits)
    return made


def _row(number: int, sizes: list[Sizes]) -> dict[str, Any]:
    delta = [one.delta for one in sizes]
    return {
        "round": number,
        "messages": len(sizes),
        "plain": round(float(np.mean([one.plain for one in sizes])), 1),
        "entropy_coded": round(float(np.mean([one.alone for one in sizes])), 1),
        "delta_coded": round(float(np.mean(delta)), 1),
        "least": min(delta),
        "largest": max(delta),
    }
