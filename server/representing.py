"""What a student makes of a text before it decides: the input of its last linear layer."""

import torch
from torch import Tensor, nn

from common.failures import ConfigError
from server.resting import answer


def represented(student: nn.Module, inputs: Tensor) -> Tensor:
    """The student's own representation of texts, as of now, without dropout and without a graph.

    Of a student of one linear layer it is what it reads, of a perceptron the hidden layer, of a
    transformer the pooled vector of its first token. The student is left in the mode it was in, no
    generator is drawn from, and no weight or gradient is touched.

    Args:
        student: a module whose last :class:`torch.nn.Linear`, in the order of its modules,
            gives the scores.
        inputs: shape (B, D), what the student reads.

    Returns:
        Shape (B, H), of the dtype of the student.

    Raises:
        ConfigError: there is no such layer, or it does not see a vector per text.
    """
    seen: list[Tensor] = []
    handle = _deciding(student).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        answer(student, inputs)  # which may ask in parts
    finally:
        handle.remove()
    if sum(len(part) for part in seen) != len(inputs) or any(part.ndim != 2 for part in seen):
        raise _refused("does not see a vector per text")
    return torch.cat(seen)


def _deciding(student: nn.Module) -> nn.Module:
    layers = [module for module in student.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise _refused("is missing")
    return layers[-1]


def _refused(why: str) -> ConfigError:
    return ConfigError(
        f"server.weighting: the student's last linear layer {why}, so there is no hidden "
        "representation; write instance = 'none' for reinforced, inputs = 'predictions' for gate"
    )
