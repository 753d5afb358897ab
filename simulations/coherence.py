"""Whether the parts of an experiment fit each other, said before anything is read or trained."""

from typing import TYPE_CHECKING

from clients.config import ClientConfig
from common.encoders.numbers import Numbers
from common.failures import BudgetExceeded, ConfigError
from server.weightings import Weighting
from simulations.corruptions import Corruption
from simulations.corruptions.feature_noise import FeatureNoise

if TYPE_CHECKING:
    from simulations.experiment import Experiment


def check_feedback(experiment: "Experiment") -> None:
    """Refuse to say back what nobody learns from, and to learn from what nobody says.

    Raises:
        ConfigError: what to write.
    """
    says = experiment.server.feedback is not None
    learns = experiment.clients.refinement is not None
    if says and not learns:
        raise ConfigError(
            "server.feedback says something back, and no client makes anything of it; write "
            "clients.refinement = 'digest_revisit'"
        )
    if learns and not says:
        raise ConfigError(
            "clients.refinement is about what the server says back, and it says nothing; write "
            "server.feedback = 'consensus'"
        )


def check_corruptions(experiment: "Experiment") -> None:
    """Refuse what is to be wrong with clients that are not there, or in a way they cannot see.

    Raises:
        ConfigError: what to write.
    """
    data = experiment.data
    for number, corruption in enumerate(data.corruptions):
        if max(corruption.clients, default=0) >= data.num_clients:
            raise ConfigError(
                f"data.corruptions[{number}].clients names client {max(corruption.clients)}; "
                f"write at most {data.num_clients - 1}"
            )
        if _slips_in_numbers(corruption, experiment.clients):
            raise ConfigError(
                f"data.corruptions[{number}] makes slips in texts, and clients.encoder reads "
                "numbers; write kind = 'feature_noise', unit = 'number'"
            )


def check_assignment(experiment: "Experiment") -> None:
    """Refuse a list of teachers' numbers of another length than there are clients.

    Raises:
        ConfigError: what to write.
    """
    given, number = experiment.clients.assignment, experiment.data.num_clients
    if given is not None and len(given) != number:
        raise ConfigError(
            f"clients.assignment is about {len(given)} clients, and there are {number}; write "
            f"{number} numbers"
        )


def check_budget(experiment: "Experiment") -> None:
    """Say before anything is trained whether clients' budgets last for all rounds.

    Raises:
        BudgetExceeded: they do not.
        ConfigError: something would be disclosed past the mechanism.
    """
    mechanism = experiment.clients.mechanism
    plan = None if mechanism is None else mechanism.plan()
    if mechanism is None or plan is None:
        return
    if "familiarity" in experiment.disclose:
        raise ConfigError(
            "disclose: how near texts are to a client's own is found past clients.mechanism, "
            "which would then guarantee nothing; leave one of them out"
        )
    trainings = experiment.num_rounds if experiment.clients.refinement is not None else 1
    if mechanism.exceeds([plan] * trainings):
        raise BudgetExceeded(
            f"{trainings} trainings would spend epsilon "
            f"{mechanism.epsilon([plan] * trainings):.4g} of {mechanism.limit():.4g}; write "
            f"fewer rounds, clients.refinement = 'none' or a larger clients.mechanism.budget"
        )


def check_disclosed(experiment: "Experiment", weighting: Weighting) -> None:
    """Refuse a weighting that needs what clients do not disclose, or labels nobody has.

    Raises:
        ConfigError: what to write.
    """
    told = {"bias", "labels", *experiment.disclose}
    if experiment.wire.secure_sum:
        told.add("num_examples")  # inside the sum
    if missing := weighting.needs - told:
        raise ConfigError(
            f"server.weighting needs {sorted(missing)} of every client; "
            f"write disclose = {sorted({*experiment.disclose, *missing})}"
        )
    if "labels" in weighting.needs and experiment.data.labelled_transfer is None:
        raise ConfigError(
            "server.weighting needs known labels of some transfer texts; write for example "
            "data.labelled_transfer = 200"
        )


def _slips_in_numbers(corruption: Corruption, clients: ClientConfig) -> bool:
    reads_numbers = isinstance(clients.encoder, Numbers) and clients.reads_features
    return reads_numbers and isinstance(corruption, FeatureNoise) and corruption.unit != "number"
