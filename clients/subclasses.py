"""How a client splits every label before it answers: settings only."""

from typing import final

from pydantic import Field

from common.component import component


@final
@component
class Subclasses:
    r"""LELP: pseudo-subclasses of every label, from linear projections of the teacher's embeddings.

    What crosses is :math:`p(c, j | x) = p_T(c | x) \, \mathrm{softmax}_j(V_c (h(x) - \mu_c) /
    \beta)`: the teacher's prediction, every label split in S. h is what the teacher's last layer
    reads, :math:`\mu_c` its mean over the client's own texts of label c, and the rows of
    :math:`V_c` are their S main directions. All of it is computed by the client from its own
    texts, anew at every release, and is not sent; but answers tell much of it, nearly all where
    the embedding is public (``frozen_linear``; see docs/privacy.md).

    Departures: :math:`\beta` is ``temperature`` times the root mean square of the projections of
    that label's texts, so that one setting serves teachers of any scale. A label with fewer than
    S + 1 texts is split evenly; a direction along which its texts do not differ tells nothing.

    Attributes:
        count: S; 1 splits nothing.
        temperature: the smaller, the harder the split.
        null_space: whether directions that the head reads are left out of h first, so that
            subclasses say what the prediction does not.
        rotate: whether the directions are mixed by a random rotation, so that all vary alike.

    Reference: Loo, Iliopoulos, Hu, Vee. *Linear Projections of Teacher Embeddings for Few-Class
    Distillation*, 2024, section 3. https://arxiv.org/abs/2409.20449
    """

    count: int = Field(default=4, ge=1, le=64)
    temperature: float = Field(default=1.0, ge=0.01, le=100)
    null_space: bool = True
    rotate: bool = True
