"""Distributions as integers that sum exactly, and integers as bits.

A row of C probabilities becomes C codes of b bits whose sum is exactly 2^b - 1: floor,
then one more for the largest remainders, ties to the lower class. The grid closes the
covert channel of the low bits of a float (PRIVACY section 3); it is bandwidth, not privacy.

The L1-nearest point of such a grid is what Sattler et al., *CFD: Communication-Efficient
Federated Distillation via Soft-Label Quantization and Delta Coding*, 2021, section 3, use.
"""

import numpy as np

from common.arrays import Bytes, Floats, Ints

BITS = (1, 2, 4, 8, 16)
_TIE = 2.0**-40  # remainders nearer than this, in probability, are rounding of equal ones


def to_codes(probs: Floats, bits: int) -> Ints:
    """Codes of shape (..., C), uint16, summing to ``2**bits - 1`` over the last axis.

    Args:
        probs: shape (..., C), finite, non-negative, each row with a positive sum.
        bits: one of :data:`BITS`; 1 keeps the argmax only.

    Raises:
        ValueError: rows that are not distributions up to scale.
    """
    exact = np.asarray(probs, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        total = exact.sum(axis=-1, keepdims=True)
    if not np.all(np.isfinite(total)) or np.any(exact < 0) or np.any(total <= 0):
        raise ValueError("probabilities must be finite, non-negative and not all zero")
    return apportioned(exact / total, 2**bits - 1)


def apportioned(shares: Floats, levels: Ints | int) -> Ints:
    """Codes of shape (..., C), uint16, in proportion to ``shares`` and summing to ``levels``.

    Args:
        shares: shape (..., C), float64, rows sum to 1.
        levels: at least 0; one for all rows, or an array that broadcasts to (..., 1).
    """
    scaled = shares * levels
    codes = np.floor(scaled)
    missing = np.rint(levels - codes.sum(axis=-1, keepdims=True))
    # A stable sort on the negated remainder breaks ties towards the lower class.
    remainder = np.rint((scaled - codes) / np.maximum(levels, 1) / _TIE)
    order = np.argsort(-remainder, axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    made: Ints = (codes + (rank < missing)).astype(np.uint16)
    return made


def to_probs(codes: Ints, bits: int) -> Floats:
    """Probabilities of shape (..., C), float32, of codes that sum to ``2**bits - 1``."""
    probs: Floats = (codes.astype(np.float64) / (2**bits - 1)).astype(np.float32)
    return probs


def packed_length(count: int, bits: int) -> int:
    """How many bytes ``count`` codes of ``bits`` bits take, padded to a whole byte."""
    return -(-count * bits // 8)


def pack(codes: Ints, bits: int) -> bytes:
    """Codes as bytes: row-major, least significant bit first, zero bits as padding."""
    flat = np.ascontiguousarray(codes).reshape(-1)
    if bits == 16:
        return flat.astype("<u2").tobytes()
    if bits == 8:
        return flat.astype(np.uint8).tobytes()
    planes = (flat[:, None] >> np.arange(bits, dtype=np.uint16)) & 1
    return np.packbits(planes.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def unpack(data: bytes, count: int, bits: int) -> Ints:
    """The inverse of :func:`pack` for ``count`` codes, shape (count,), uint16.

    Raises:
        ValueError: a length that does not fit, or padding bits that are not zero.
    """
    if len(data) != packed_length(count, bits):
        raise ValueError("length does not fit")
    if bits == 16:
        return np.frombuffer(data, dtype="<u2").astype(np.uint16)
    raw: Bytes = np.frombuffer(data, dtype=np.uint8)
    if bits == 8:
        return raw.astype(np.uint16)
    flags = np.unpackbits(raw, bitorder="little")
    if np.any(flags[count * bits :]):
        raise ValueError("padding bits must be zero")
    planes = flags[: count * bits].reshape(count, bits).astype(np.uint16)
    codes: Ints = (planes << np.arange(bits, dtype=np.uint16)).sum(axis=1, dtype=np.uint16)
    return codes
