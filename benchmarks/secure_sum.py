"""A secure sum: what does it cost a client, in time and bytes, and how exact is it?

    python benchmarks/secure_sum.py [--clients 20] [--rows 5000] [--labels 5] [--repeats 5]

Every client makes its words (weights of knot, predictions of 8 bits), its key, and its masks, as
in a run but for the disk. Prints the median milliseconds of each part a client, the bytes against
answers in clear, and the largest error of the consensus against the weighted mean in float64.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from clients.masking import mask, new_secret, public_key
from common.confidence import claims
from common.fixed_point import Words, from_words
from common.masked import masked_length
from common.predictions import Predictions
from common.quantise import to_codes, to_probs
from common.records import Flags, Layout
from common.rosters import KEY_BYTES, Roster
from common.secure_terms import SecureTerms

TERMS = SecureTerms("knot_l2", 2)
Made = TypeVar("Made")


def main() -> None:
    """Add up, several times, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("clients", 20), ("rows", 5000), ("labels", 5), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    said = [_said(k, asked.rows, asked.labels) for k in range(asked.clients)]
    taken: dict[str, list[float]] = {"words": [], "key": [], "masks": []}
    for _ in range(asked.repeats):
        total = _add_up(said, taken)
    for part, seconds in taken.items():
        print(f"{part:8}{1e3 * statistics.median(seconds):8.2f} ms a client")
    _print_bytes(asked.rows, asked.labels)
    print(f"largest error of the consensus {_error(said, total):.1e}")


def _said(client: int, rows: int, labels: int) -> Predictions:
    """What a client would say in clear: sharp rows, and its bias."""
    rng = np.random.default_rng(client)
    probs = to_probs(to_codes(rng.dirichlet(np.full(labels, 0.3), rows), 8), 8)
    return Predictions(probs, rng.dirichlet(np.ones(labels)).astype(np.float32))


def _add_up(said: list[Predictions], taken: dict[str, list[float]]) -> Words:
    """One secure sum of all; exact, or the script ends here."""
    secrets = [_timed(new_secret, taken["key"]) for _ in said]
    members = tuple(enumerate(map(public_key, secrets)))
    roster = Roster(1, 1, bytes(32), members)
    total = np.zeros((len(said[0].probs), said[0].probs.shape[1] + 2), dtype=np.uint32)
    plain = np.zeros(total.shape, dtype=np.int64)
    for client, one in enumerate(said):
        words = _timed(lambda one=one: TERMS.words(one, len(said)), taken["words"])
        total += _timed(
            lambda words=words, client=client: mask(words, secrets[client], client, roster),
            taken["masks"],
        )
        plain += words
    if not np.array_equal(total, plain):
        raise SystemExit("the masks do not cancel")
    return total


def _timed(act: Callable[[], Made], taken: list[float]) -> Made:
    started = time.process_time()
    made = act()
    taken.append(time.process_time() - started)
    return made


def _print_bytes(rows: int, labels: int) -> None:
    masked = masked_length(rows, labels) + KEY_BYTES
    print(f"{masked:,} bytes a client, with its key; in clear")
    for bits in (8, 16):
        clear = Layout(rows, labels, bits, Flags.bias, bytes(32)).length
        print(f"  {bits:2} bits a code {clear:9,}: {masked / clear:.1f} times")
    floats = 4 * rows * labels
    print(f"  float32        {floats:9,}: {masked / floats:.2f} times")


def _error(said: list[Predictions], total: Words) -> float:
    weights = np.stack([claims(TERMS.rule, s.probs, s.bias, None) for s in said])
    probs = np.stack([s.probs for s in said]).astype(np.float64)
    probs /= probs.sum(axis=2, keepdims=True)
    mean = (weights[:, :, None] * probs).sum(axis=0) / weights.sum(axis=0)[:, None]
    return float(np.abs(from_words(total).values - mean).max())


if __name__ == "__main__":
    main()
