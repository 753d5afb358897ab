"""The ledger of a client's privacy: what was spent, and whether more may be."""

import json
from dataclasses import asdict

from clients.mechanisms import Mechanism, Spending
from clients.store import Store
from common.reasons import Reason, Refused


def spent(store: Store) -> list[Spending]:
    """What every training of a client took, in order."""
    return [Spending(**json.loads(line)) for line in store.spendings()]


def written(spending: Spending | None) -> str | None:
    """One line of the ledger, as the store keeps it beside the teacher it was spent on."""
    return None if spending is None else json.dumps(asdict(spending))


def allow(mechanism: Mechanism, store: Store) -> None:
    """Let a client train once more, or not, before it does.

    A teacher that was damaged has still been spent for: what it said may have left.

    Raises:
        Refused: the budget does not last for it, or the ledger cannot be read.
    """
    plan = mechanism.plan()
    if plan is None:
        return
    try:
        before = spent(store)
    except (TypeError, ValueError) as damage:
        raise Refused(Reason.refused) from damage
    if mechanism.exceeds([*before, plan]):
        raise Refused(Reason.refused)
