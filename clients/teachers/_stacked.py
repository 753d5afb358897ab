"""How several networks of ``frozen_mlp`` are trained side by side, to the bits of one by one.

A step of one small network is mostly calls: autograd's, the optimiser's, the schedule's. Here the
gradient is written out, and whatever treats every element or every row by itself (masks, scaling,
softmax, AdamW) is one call for a whole stack. Matrix products and sums, whose order of summation
decides the last bits, stay one call for each network, on operands of the same shape, strides and
alignment as when it is alone; so do the draws, each from the network's own generator. A network's
bits therefore do not depend on its neighbours. :func:`clients.teachers._training.train` is the
reference. Imports torch.

Axes: G networks of a stack, R rows of a step, D features, H hidden units, C labels.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from clients.teachers._desk import Room, Slot
from clients.teachers._one_cycle import AdamW, cycle
from clients.teachers._training import batches, initial, num_steps
from common.arrays import Floats, Ints

if TYPE_CHECKING:
    from clients.teachers.frozen_mlp import FrozenMlp

_CACHE_BYTES: Final = 4 << 20
_aten = torch.ops.aten


class Examples(NamedTuple):
    """What one network learns from.

    Attributes:
        features: shape (M, D), M > 0.
        labels: shape (M,), in 0..C-1.
        seed: as of :func:`clients.teachers._training.train`.
    """

    features: Floats
    labels: Ints
    seed: int


def train_stacked(
    recipe: "FrozenMlp",
    shards: Sequence[Examples],
    num_labels: int,
    cache_bytes: int = _CACHE_BYTES,
) -> list[dict[str, NDArray[Any]]]:
    """Fit a network to each shard; the same bits as by :func:`clients.teachers._training.train`.

    Args:
        recipe: the hyper-parameters of all.
        shards: of the networks; M may differ, and where it does D may too.
        num_labels: C.
        cache_bytes: what a stack should fit into; changes the speed and nothing else.

    Returns:
        For each shard what :func:`clients.teachers._training.train` returns.

    Raises:
        RuntimeError: a label is not in 0..C-1.
    """

    def alike(k: int) -> tuple[int, int]:
        features, labels, _ = shards[k]
        return features.shape[1], num_steps(recipe, len(labels))

    made: dict[int, dict[str, NDArray[Any]]] = {}
    # Equal sizes side by side: a stack's rows are as many as its largest batch has.
    order = sorted(range(len(shards)), key=lambda k: (*alike(k), len(shards[k].labels)))
    for (width, steps), same in groupby(order, alike):
        size = max(1, cache_bytes // _bytes(recipe, width, num_labels))
        waiting = list(same)
        for group in (waiting[i : i + size] for i in range(0, len(waiting), size)):
            stack = _Stack(recipe, [shards[k] for k in group], num_labels, steps)
            made |= zip(group, stack.trained(), strict=True)
    return [made[k] for k in range(len(shards))]


def _bytes(recipe: "FrozenMlp", width: int, num_labels: int) -> int:
    """What a step of one network touches: weights, gradient and both moments, and its rows."""
    weights = (width + 1 + num_labels) * recipe.hidden + num_labels
    rows = width + 4 * recipe.hidden + 4 * num_labels
    return 4 * (4 * weights + recipe.batch_size * rows)


class _Network:
    """One network, its gradient, its examples and its own draws."""

    def __init__(self, recipe: "FrozenMlp", shard: Examples, num_labels: int, steps: int) -> None:
        examples, width = shard.features.shape
        self.generator = torch.Generator().manual_seed(shard.seed)
        self.inputs = torch.tensor(shard.features, dtype=torch.float32)
        signs = 0.0 - functional.one_hot(
            torch.from_numpy(shard.labels.astype(np.int64)), num_labels
        )
        sizes = {min(examples, recipe.batch_size), examples % recipe.batch_size} - {0}
        self.pulls = {n: signs / n for n in sizes}  # of the labels, in a batch of n
        net = initial(width, recipe.hidden, num_labels, self.generator)
        self.names, self.parameters = list(net), [value.detach() for value in net.values()]
        self.upwards = self.parameters[0].t(), self.parameters[2].t()
        self.gradient = [torch.zeros_like(value) for value in self.parameters]
        self.rows = batches(examples, recipe.batch_size, steps, self.generator)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By name, as they are stored."""
        pairs = zip(self.names, self.parameters, strict=True)
        return {name: value.numpy() for name, value in pairs}


class _Stack:
    """Networks of equal shape that take equally many steps."""

    def __init__(
        self, recipe: "FrozenMlp", shards: Sequence[Examples], num_labels: int, steps: int
    ) -> None:
        self._recipe = recipe
        self._networks = [_Network(recipe, shard, num_labels, steps) for shard in shards]
        rows = min(recipe.batch_size, max(len(shard.labels) for shard in shards))
        widths = shards[0].features.shape[1], recipe.hidden, num_labels
        self._room = Room(len(shards), rows, widths)
        self._cycle = cycle(recipe.learning_rate, steps)

    @torch.inference_mode()
    def trained(self) -> Iterator[dict[str, NDArray[Any]]]:
        """Take all steps; each network's arrays."""
        parameters = [value for network in self._networks for value in network.parameters]
        gradient = [value for network in self._networks for value in network.gradient]
        update = AdamW(parameters, gradient, self._recipe.weight_decay)
        for rate, momentum in self._cycle:
            self._gradients()
            update(rate, momentum)
        return (network.arrays() for network in self._networks)

    def _gradients(self) -> None:
        """Of the mean cross-entropy of everybody's next batch."""
        rows = [next(network.rows) for network in self._networks]
        counts = [own.numel() for own in rows]
        desk = self._room.desk(max(counts))
        slots = [desk.slot(k, count) for k, count in enumerate(counts)]
        together, pairs = desk.whole, list(zip(self._networks, slots, strict=True))
        for (network, slot), own in zip(pairs, rows, strict=True):
            _enter(network, slot, own)
        self._drop(together, slots)
        for network, slot in pairs:
            _score(network, slot)
        _judge(together)
        for network, slot in pairs:
            _return(network, slot)
        self._undrop(together, slots)
        for network, slot in pairs:
            _close(network, slot)

    def _drop(self, whole: Slot, slots: list[Slot]) -> None:
        """Activation and dropout."""
        if self._recipe.activation == "relu":
            _aten.threshold.out(whole.before, 0, 0, out=whole.hidden)
        else:
            for slot in slots:  # its last elements are computed by other code than the rest
                _aten.gelu.out(slot.before, out=slot.hidden)
        whole.kept.ge_(self._recipe.dropout)
        torch.mul(whole.hidden, whole.kept, out=whole.fed).div_(1 - self._recipe.dropout)

    def _undrop(self, whole: Slot, slots: list[Slot]) -> None:
        """The gradient before dropout and activation from that behind them."""
        whole.back.div_(1 - self._recipe.dropout).mul_(whole.kept)
        if self._recipe.activation == "relu":
            gradient = _aten.threshold_backward.grad_input
            gradient(whole.back, whole.before, 0, grad_input=whole.back)
        else:
            for slot in slots:
                _aten.gelu_backward.grad_input(slot.back, slot.before, grad_input=slot.back)


def _enter(network: _Network, slot: Slot, rows: Tensor) -> None:
    """Fetch a batch, draw its dropout, and go up to the hidden layer."""
    torch.index_select(network.inputs, 0, rows, out=slot.inputs)
    torch.index_select(network.pulls[rows.numel()], 0, rows, out=slot.errors)
    torch.addmm(network.parameters[1], slot.inputs, network.upwards[0], out=slot.before)
    slot.kept.uniform_(generator=network.generator)


def _score(network: _Network, slot: Slot) -> None:
    torch.addmm(network.parameters[3], slot.fed, network.upwards[1], out=slot.scores)


def _judge(whole: Slot) -> None:
    """``softmax - truth`` over n, as autograd finds it from the mean cross-entropy."""
    torch.log_softmax(whole.scores, 2, out=whole.logs)
    gradient = _aten._log_softmax_backward_data.out
    gradient(whole.errors, whole.logs, 2, torch.float32, out=whole.errors)


def _return(network: _Network, slot: Slot) -> None:
    """The output layer's gradient, and what goes further down."""
    _, _, weight, bias = network.gradient
    torch.mm(slot.errors_t, slot.fed, out=weight)
    torch.sum(slot.errors, 0, out=bias)
    torch.mm(slot.errors, network.parameters[2], out=slot.back)


def _close(network: _Network, slot: Slot) -> None:
    weight, bias, _, _ = network.gradient
    torch.mm(slot.back_t, slot.inputs, out=weight)
    torch.sum(slot.back, 0, out=bias)
