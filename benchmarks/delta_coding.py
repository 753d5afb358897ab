"""Would delta coding, as in CFD, make the messages of several rounds shorter, and by how much?

    fedknot run fedmd --out FOLDER --backend inline
    python benchmarks/delta_coding.py FOLDER [FOLDER ...] [--bits 1,2,4,8]

Takes what clients sent in finished runs of several rounds, makes codes of fewer bits of it where
asked for, and codes every message by the one before, in two ways: a bitmap of the rows that have
changed and their codes; and the entropy of the differences of codes, which no coder of single
differences can beat. Beside it, without any delta, the entropy of the codes themselves; and rows
as numbers of whole bits, of all rows that sum to what they must, which has one length whatever is
said. Prints means over clients and rounds after the first, of predictions only: bytes, and the
share of plain. The least and the largest message show what a length tells of how much a client has
changed.

Source of the idea: Sattler, Marban, Rischke, Samek. *CFD: Communication-Efficient Federated
Distillation via Soft-Label Quantization and Delta Coding*, 2021. https://arxiv.org/abs/2012.00632
"""

import argparse
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from common.arrays import Ints
from common.quantise import packed_length, to_codes, to_probs
from common.records import decode
from common.terms import Terms

_HEAD = (
    "bits  changed   plain     row delta (least..largest)   differences      no delta     numbered"
)


def main() -> None:
    """Code what crossed once more, in other ways, and print how long it gets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--bits", default="1,2,4,8")
    asked = parser.parse_args()
    for folder in asked.folders:
        terms = Terms.read(folder / "terms.json")
        print(f"{folder.name}: {terms.bits} bits crossed\n{_HEAD}")
        for bits in map(int, asked.bits.split(",")):
            if bits <= terms.bits:
                print(_line(list(_pairs(folder, terms, bits)), bits))


def _pairs(folder: Path, terms: Terms, bits: int) -> Iterator[tuple[Ints, Ints]]:
    """What a client said in one round and in the next, (N, C) codes each."""
    for client in range(terms.num_clients):
        said = [_said(folder, terms, number, client) for number in range(1, terms.num_rounds + 1)]
        if bits < terms.bits:
            said = [to_codes(to_probs(codes, terms.bits), bits) for codes in said]
        yield from pairwise(said)


def _said(folder: Path, terms: Terms, server_round: int, client: int) -> Ints:
    data = (folder / "releases" / str(server_round) / f"{client}.bin").read_bytes()
    return decode(data, terms.layout_of(server_round), server_round, client).codes


def _line(pairs: list[tuple[Ints, Ints]], bits: int) -> str:
    """One row of the table."""
    plain = packed_length(pairs[0][0].size, bits)
    rows = [_row_delta(old, new, bits) for old, new in pairs]
    changed = np.mean([(old != new).any(axis=1).mean() for old, new in pairs])
    steps = [new.astype(np.int64) - old.astype(np.int64) for old, new in pairs]
    bound = np.mean([_entropy_bytes(step, bits) for step in steps])
    alone = np.mean([_entropy_bytes(new, bits) for _, new in pairs])
    sizes = np.mean(rows), bound, alone, _numbered_bytes(pairs[0][0].shape, bits)
    parts = [f"{size:7.0f} {size / plain:5.2f}" for size in sizes]
    spread = f"({min(rows)}..{max(rows)})"
    return f"{bits:4} {changed:8.2f} {plain:7} {parts[0]} {spread:14} {' '.join(parts[1:])}"


def _row_delta(old: Ints, new: Ints, bits: int) -> int:
    """Bytes of a bitmap of the rows that differ, and the codes of these."""
    changed = int((old != new).any(axis=1).sum())
    return packed_length(len(new), 1) + packed_length(changed * new.shape[1], bits)


def _numbered_bytes(shape: tuple[int, ...], bits: int) -> int:
    """Bytes of rows as numbers: there are so many ways to part ``2**bits - 1`` among C labels."""
    rows, labels = shape
    ways = math.comb(2**bits + labels - 2, labels - 1)
    return packed_length(rows, (ways - 1).bit_length())


def _entropy_bytes(values: Ints, bits: int) -> float:
    """Bytes at the entropy of single values; of whole rows for 1 bit, where a row is a label."""
    symbols = values if bits == 1 else values.reshape(-1, 1)
    counts = np.unique(symbols, axis=0, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum() * len(symbols) / 8)


if __name__ == "__main__":
    main()
