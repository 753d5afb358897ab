"""How long the server waits for clients, and its owner for any sign of life."""

from pydantic import Field

from common.component import component
from common.failures import ConfigError

_HOUR = 3600.0


@component
class Timeouts:
    """Seconds, by a clock that nobody can set back; they begin once the nodes have said hello.

    A phase ends when all have replied or its time is over. Clients that share a message, as
    they do where there are more than 32, share its fate.

    Attributes:
        encode: for the features of private texts.
        teachers: for training the teachers.
        refine: for the refinement of the teachers before a round, in runs with a feedback.
        predict: for the answers of one round.
        silence: without any progress of any part of the run, after which the run is ended;
            longer than each of the others.
    """

    encode: float = Field(default=6 * _HOUR, gt=0, allow_inf_nan=False)
    teachers: float = Field(default=6 * _HOUR, gt=0, allow_inf_nan=False)
    refine: float = Field(default=6 * _HOUR, gt=0, allow_inf_nan=False)
    predict: float = Field(default=6 * _HOUR, gt=0, allow_inf_nan=False)
    silence: float = Field(default=7 * _HOUR, gt=0, allow_inf_nan=False)

    def __post_init__(self) -> None:
        longest = max(self.encode, self.teachers, self.refine, self.predict)
        if self.silence <= longest:
            raise ConfigError(
                f"server.timeouts.silence = {self.silence:g} would end a phase that may take "
                f"{longest:g} seconds; write more than {longest:g}"
            )
