"""Which published model a teacher starts from. Imports neither torch nor transformers."""

from common.encoders import Encoder, _weights
from common.encoders.sentence import Sentence
from common.failures import ConfigError

OF_THE_RUN = "encoder"


def fixed(model: str, encoder: Encoder, kind: str) -> str:
    """The name of ``model`` for a process that knows neither the run nor this folder.

    Args:
        model: ``encoder`` for the run's own, or as in the encoder ``sentence``.
        encoder: of the run.
        kind: of the teacher, for the message.

    Raises:
        ConfigError: the run's encoder is no language model.
        DataError: there is no such folder.
    """
    if model == OF_THE_RUN:
        if not isinstance(encoder, Sentence):
            raise ConfigError(
                f"teacher {kind!r} starts from a language model, which this run's encoder is "
                "not; write model = 'minilm' into the teacher"
            )
        model = encoder.model
    return str(_weights.locate(model)) if _weights.is_folder(model) else model
