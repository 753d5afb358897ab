"""Whether a prediction of 70 % comes true 70 times in 100.

Axes: N samples, C labels. ``probs`` is shape (N, C), ``labels`` (N,). A bin is an interval
(b/bins, (b+1)/bins]; zero belongs to the first.
"""

import numpy as np

from common.arrays import Floats, Ints
from common.per_sample import checked

BINS = 15
"""As in Guo et al. 2017 and Kull et al. 2019."""


def ece(probs: Floats, labels: Ints, bins: int = BINS) -> float:
    """Expected calibration error of the top label over equal-width bins.

    ``sum_b (n_b / N) |accuracy_b - confidence_b|``. Source: Guo et al., "On Calibration
    of Modern Neural Networks", ICML 2017, equation 3.
    """
    probs, labels = checked(probs, labels)
    gaps = (probs.argmax(axis=1) == labels) - probs.max(axis=1)
    sums = np.bincount(bin_of(probs.max(axis=1), bins), weights=gaps)
    return float(np.abs(sums).sum() / len(labels))


def ece_classwise(probs: Floats, labels: Ints, bins: int = BINS) -> float:
    """Calibration error of every label's probability, averaged over the C labels.

    ``1/C sum_c sum_b (n_bc / N) |share of y = c in the bin - mean p_c in the bin|``, where
    bin b of label c holds the samples whose p_c falls into it. Unlike :func:`ece` it also
    sees the probabilities below the largest. Source: Kull et al., "Beyond temperature
    scaling", NeurIPS 2019, section 2; the static calibration error of Nixon et al.,
    "Measuring calibration in deep learning", CVPR workshops 2019.
    """
    probs, labels = checked(probs, labels)
    size = probs.shape[1]
    gaps = np.eye(size)[labels] - probs
    cells = bin_of(probs, bins) + bins * np.arange(size)
    sums = np.bincount(cells.ravel(), weights=gaps.ravel())
    return float(np.abs(sums).sum() / gaps.size)


def calibration_bins(probs: Floats, labels: Ints, bins: int = BINS) -> tuple[Floats, Floats, Ints]:
    """Mean confidence, accuracy and count of each of ``bins`` bins (b/bins, (b+1)/bins].

    Returns three arrays of shape (bins,); the means of an empty bin are NaN. Source: the
    reliability diagram of Guo et al. 2017, section 2.
    """
    probs, labels = checked(probs, labels)
    top = probs.max(axis=1)
    index = bin_of(top, bins)
    count = np.bincount(index, minlength=bins)
    right = (probs.argmax(axis=1) == labels).astype(np.float64)
    size = np.where(count > 0, count, np.nan)
    confidence = np.bincount(index, weights=top, minlength=bins) / size
    return confidence, np.bincount(index, weights=right, minlength=bins) / size, count


def bin_of(probs: Floats, bins: int = BINS) -> Ints:
    """The bin 0..bins-1 of every probability, in the shape of ``probs``."""
    return np.clip(np.ceil(probs * bins).astype(np.int64) - 1, 0, bins - 1)
