"""Nobody drops out."""

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from clients.availability import Availability
from common.component import component


@final
@component
class Always(Availability):
    """Every client answers in every round."""

    is_certain: ClassVar[bool] = True

    @override
    def draw(self, rng: np.random.Generator, num_rounds: int) -> NDArray[np.bool_]:
        return np.ones(num_rounds, dtype=np.bool_)
