"""How networks that read texts are trained and asked. Imports torch.

All clients of a process share one copy of a public model, which is never changed: what a teacher
has of its own, a layer or two, is put over it for the length of a call.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from typing_extensions import override

from clients.refinements import Lesson, Plan
from clients.teachers import FittedTeacher
from clients.teachers._refining import Loss, courses, revisiting, steps_of
from clients.teachers._training import Pace, batches, num_steps
from common.arrays import Floats, Ints
from common.encoders._cutting import Row
from common.encoders._pretrained import padded
from common.failures import DataError

_ROWS_AT_ONCE = 32
_BASE = "base sha256"
_HEAD_RATE, _WARM_UP, _LARGEST_NORM = 10.0, 0.1, 1.0


@dataclass(frozen=True, eq=False)
class Network:
    """A model that reads texts, and which part of it belongs to a teacher.

    Attributes:
        module: from ids, mask and segments, each (B, L), to scores (B, C).
        rows: turns texts into tokens.
        pad: the id that fills up a batch.
        own: names of the parameters that a teacher trains; the others stay as published.
        fresh: which of them nobody has trained yet; their matrices are drawn by the teacher.
        fast: which learn ten times as fast: a new head on an old model.
        num_labels: C.
        base: SHA-256 of what is published, so that nothing else is put under a stored teacher.
    """

    module: nn.Module
    rows: Callable[[Sequence[str]], list[Row]]
    pad: int
    own: tuple[str, ...]
    fresh: frozenset[str]
    fast: frozenset[str]
    num_labels: int
    base: bytes

    def last_layer(self) -> tuple[str, nn.Linear]:
        """The name of the linear layer that makes the scores, and the layer.

        Raises:
            DataError: the model ends otherwise.
        """
        for name, layer in reversed(list(self.module.named_modules())):
            if isinstance(layer, nn.Linear) and layer.out_features == self.num_labels:
                return name, layer
        raise DataError("the model of a teacher has no last linear layer to split labels by")


class TextPace(Pace, Protocol):
    """How long and how fast a recipe trains."""

    @property
    def learning_rate(self) -> float:
        """Peak."""

    @property
    def weight_decay(self) -> float:
        """Of AdamW."""


def fit(
    network: Network,
    pace: TextPace,
    texts: Sequence[str],
    labels: Ints,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None,
) -> "FittedNetwork":
    """Train a teacher's own part; without examples it keeps what is published, and no head.

    AdamW (Loshchilov and Hutter, ICLR 2019) on cross-entropy, gradients cut to length 1, with
    a rate that rises over a tenth of the steps and falls to zero in a line (as Devlin et al.,
    *BERT*, NAACL 2019, appendix A.2); a new head on an old model learns ten times as fast.
    """
    seed = int(rng.integers(2**63))
    if len(labels) == 0:
        own = started(network, None)
    else:
        generator = torch.Generator().manual_seed(seed)
        own = started(network, generator)
        with torch.random.fork_rng(devices=[]):  # dropout draws from the global stream
            torch.manual_seed(seed)
            steps = num_steps(pace, len(labels))
            course = Course(network.rows(texts), revisiting(labels), steps, pace.batch_size)
            descend(network, own, pace, course, generator, progress)
    return FittedNetwork(network, {name: t.detach().numpy() for name, t in own.items()})


def refine(
    network: Network,
    pace: TextPace,
    fitted: FittedTeacher,
    lesson: Lesson,
    plan: Plan,
    rng: np.random.Generator,
) -> "FittedNetwork":
    """Digest, then revisit: each as :func:`fit` trains, from the teacher's own part as it is.

    No head is new any more, so all learn at the same rate. A teacher that never saw an example
    sets out anew, for zeros would not learn.
    """
    seed = int(rng.integers(2**63))
    generator, stored = torch.Generator().manual_seed(seed), fitted.tensors()
    own = {name: torch.tensor(stored[name], requires_grad=True) for name in network.own}
    if network.fresh and not any(stored[name].any() for name in network.fresh):
        own = started(network, generator)
    even = replace(network, fast=frozenset())
    with torch.random.fork_rng(devices=[]):  # dropout draws from the global stream
        torch.manual_seed(seed)
        for stage, texts, loss in courses(lesson, plan):
            size, steps = stage.batch_size or pace.batch_size, steps_of(stage, len(texts), pace)
            course = Course(network.rows(texts), loss, steps, size, stage.learning_rate)
            descend(even, own, pace, course, generator, None)
    return FittedNetwork(network, {name: t.detach().numpy() for name, t in own.items()})


def restore(network: Network, tensors: dict[str, NDArray[Any]], kind: str) -> "FittedNetwork":
    """The teacher that was stored.

    Raises:
        DataError: the tensors are not its own part, or the published model is another now.
    """
    known = dict(network.module.named_parameters())
    shapes = {name: tuple(known[name].shape) for name in network.own}
    found = {name: t.shape for name, t in tensors.items() if name != _BASE}
    if _BASE not in tensors or found != shapes:
        raise DataError(f"the stored teacher is no {kind} of this model and these labels")
    if tensors[_BASE].tobytes() != network.base:
        raise DataError(f"the model under the stored teacher {kind} has changed; start a new run")
    return FittedNetwork(network, {name: tensors[name] for name in network.own})


@dataclass(frozen=True, eq=False)
class FittedNetwork(FittedTeacher):
    """A shared model with a teacher's own part over it."""

    network: Network
    own: dict[str, NDArray[Any]]

    @override
    def predict(self, inputs: Sequence[str]) -> Floats:
        probs = np.empty((len(inputs), self.network.num_labels), dtype=np.float32)
        for batch, scores in self._scored(inputs):
            probs[batch] = torch.softmax(scores.double(), dim=1).float().numpy()
        return probs

    @override
    def embed(self, inputs: Sequence[str]) -> Floats:
        read: list[Tensor] = []
        _, layer = self.network.last_layer()
        made = np.empty((len(inputs), layer.in_features), dtype=np.float32)
        watch = layer.register_forward_pre_hook(lambda _, given: read.append(given[0]))
        try:
            for batch, _ in self._scored(inputs):
                made[batch] = read.pop().numpy()
        finally:
            watch.remove()
        return made

    @override
    def head(self) -> Floats:
        name, layer = self.network.last_layer()
        own = self.own.get(f"{name}.weight")
        return layer.weight.detach().numpy() if own is None else own

    def _scored(self, inputs: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        """Scores (B, C) of the texts in batches, and which texts they are of."""
        own = {name: torch.tensor(value) for name, value in self.own.items()}
        rows = self.network.rows(inputs)
        # By length, for little padding, and by content, so that the order asked is no matter.
        order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids), rows[i]))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            batch = order[start : start + _ROWS_AT_ONCE]
            with torch.inference_mode():
                scores = scores_of(self.network, own, [rows[i] for i in batch])
            yield batch, scores

    @override
    def tensors(self) -> dict[str, NDArray[Any]]:
        return self.own | {_BASE: np.frombuffer(self.network.base, np.uint8)}


@dataclass(frozen=True, eq=False)
class Course:
    """What is learned, and how long.

    Attributes:
        rows: the tokens of the texts.
        loss: of scores (B, C) and the rows they are of.
        steps: in all.
        batch_size: texts per step.
        learning_rate: peak; None for the recipe's own.
    """

    rows: list[Row]
    loss: Loss
    steps: int
    batch_size: int
    learning_rate: float | None = None


def descend(
    network: Network,
    own: dict[str, Tensor],
    pace: TextPace,
    course: Course,
    generator: torch.Generator,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Train ``own`` in place; dropout draws from torch's global stream."""
    if not own:  # the model is taken as it is
        return
    rate = course.learning_rate or pace.learning_rate
    update = _updates(network, own, (rate, pace.weight_decay), course.steps)
    rows, order = course.rows, batches(len(course.rows), course.batch_size, course.steps, generator)
    network.module.train()
    try:
        for step, chosen in enumerate(order, 1):
            scores = scores_of(network, own, [rows[i] for i in chosen.tolist()])
            update(course.loss(scores, chosen))
            if progress is not None:
                progress(step, course.steps)
    finally:
        network.module.eval()


def _updates(
    network: Network, own: dict[str, Tensor], rate_and_decay: tuple[float, float], steps: int
) -> Callable[[Tensor], None]:
    rate, decay = rate_and_decay
    optimiser = torch.optim.AdamW(groups_of(network, own, rate), weight_decay=decay, fused=True)
    warm = max(1, round(_WARM_UP * steps))

    def share(step: int) -> float:
        return min((step + 1) / warm, (steps - step) / max(1, steps - warm))

    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, share)

    def update(loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(own.values(), _LARGEST_NORM)
        optimiser.step()
        rates.step()

    return update


def groups_of(network: Network, own: dict[str, Tensor], rate: float) -> list[dict[str, Any]]:
    """What an optimiser is given: a teacher's own part, and how fast which of it learns."""
    fast = [t for name, t in own.items() if name in network.fast]
    slow = [t for name, t in own.items() if name not in network.fast]
    return [
        {"params": part, "lr": rate * factor}
        for part, factor in ((slow, 1.0), (fast, _HEAD_RATE))
        if part
    ]


def scores_of(network: Network, own: dict[str, Tensor], rows: Sequence[Row]) -> Tensor:
    """Scores (B, C) of rows that are padded to the longest, by a teacher's own part."""
    made: Tensor = functional_call(network.module, own, padded(rows, network.pad))
    return made


def started(network: Network, generator: torch.Generator | None) -> dict[str, Tensor]:
    """Where training sets out from; new matrices are uniform in +-1/sqrt(fan-in), or zero."""
    known = dict(network.module.named_parameters())
    own = {name: known[name].detach().clone() for name in network.own}
    for name, tensor in own.items():
        if generator is None and name in network.fresh:
            tensor.zero_()
        elif generator is not None and name in network.fresh and tensor.ndim > 1:
            bound = 1 / math.sqrt(tensor.shape[-1])
            tensor.uniform_(-bound, bound, generator=generator)
        tensor.requires_grad_()
    return own
