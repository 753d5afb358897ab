"""How long an adaptive coder makes a string of symbols; the string itself is never made."""

import math
from collections.abc import Iterable

import numpy as np
from scipy.special import gammaln

from common.arrays import Ints

_PRIOR = 0.5


def adaptive_bits(symbols: Ints, alphabet: int) -> float:
    r"""Bits of an ideal arithmetic coder that counts as it goes, of one string.

    Symbol :math:`s_i` is coded with the probability
    :math:`(n_i(s_i) + \frac12) / (i + \frac{A}{2})`, where :math:`n_i` are counts among the i
    symbols before it and A is the size of the alphabet. Both sides count alike, so no table is
    sent. The product does not depend on the order, and its logarithm is a sum of logarithms of
    gamma functions.

    Source: Krichevsky, Trofimov. *The Performance of Universal Encoding*, IEEE Transactions on
    Information Theory, 1981.

    Args:
        symbols: shape (n,), each at least 0 and below ``alphabet``.
        alphabet: A, at least 1.
    """
    if not len(symbols):
        return 0.0
    counts = np.bincount(symbols, minlength=alphabet)
    own = gammaln(counts + _PRIOR).sum() - alphabet * gammaln(_PRIOR)
    all_together = gammaln(len(symbols) + alphabet * _PRIOR) - gammaln(alphabet * _PRIOR)
    return max(0.0, float(all_together - own) / math.log(2))


def whole_bytes(bits: Iterable[float]) -> int:
    """Bytes of one string whose parts take so many bits: one more than the next whole number.

    Source: Cover, Thomas. *Elements of Information Theory*, 2006, section 5.9: a code word of that
    length always fits into the interval of its string.
    """
    total = sum(bits)
    return -(-(math.ceil(total) + 1) // 8) if total > 0 else 0
