"""What the ledgers of a finished run guarantee, as attacks are held against it."""

from dataclasses import dataclass

from clients.budget import spent
from simulations.attacks._stores import FinishedRun
from simulations.guarantee import gaussian_mu, guarantee, taught_by


@dataclass(frozen=True)
class Promise:
    """Nothing, unless one of both is given.

    Attributes:
        mu: in Gaussian differential privacy.
        claim: (epsilon, delta), of a guarantee that is not Gaussian.
    """

    mu: float | None = None
    claim: tuple[float, float] | None = None


NOTHING = Promise()


def promise_of(run: FinishedRun) -> Promise:
    """Of all trainings of the client that spent most.

    What a trusted server hides covers its student and what it tells, and no answer: the attacks are
    on answers, and such a student is not attacked. So nothing is held against that guarantee.
    """
    if run.experiment.server.hiding is not None:
        return NOTHING
    made = guarantee(run.folder, run.experiment)
    if made["epsilon"] is None:
        return NOTHING
    mus = [gaussian_mu(spent(store)) for store in taught_by(run.folder, run.experiment)]
    known = [mu for mu in mus if mu is not None]
    if len(known) == len(mus):
        return Promise(max(known, default=0.0))
    return Promise(None, (made["epsilon"], made["delta"]))
