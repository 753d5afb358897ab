"""Axis letters and array names.

K clients or teachers, N transfer samples, C labels, B batch, T targets per sample,
S subclasses per label, D features, R blanks, M examples of a corpus or shard.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bytes = NDArray[np.uint8]
