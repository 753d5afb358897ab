"""Whether the parts of a split leave enough for the clients, and what to write if not."""

import math
from collections.abc import Mapping

from common.failures import ConfigError


def wanted_rows(rows: int, transfer: float, test: float, validation: int) -> dict[str, int]:
    """How many rows the shares are, for ``transfer``, ``test`` and ``validation``.

    Args:
        rows: M, from which is drawn.
        transfer: share of the transfer set.
        test: share of the test set.
        validation: rows of the validation slice.

    Raises:
        ConfigError: a share is none, or gives no row.
    """
    for name, fraction in (("transfer_fraction", transfer), ("test_fraction", test)):
        if not 0 < fraction < 1:
            raise ConfigError(f"data.{name} = {fraction}; write a share between 0 and 1")
    if validation < 0:
        raise ConfigError(f"data.validation_size = {validation}; write at least 0")
    wanted = {
        "transfer": round(transfer * rows),
        "test": round(test * rows),
        "validation": validation,
    }
    for part in ("transfer", "test"):
        if wanted[part] == 0:
            raise ConfigError(
                f"data.{part}_fraction of {rows} rows is none; write at least {1 / rows:.2g}"
                if rows
                else "this data set has no rows to draw from"
            )
    return wanted


def check_feasible(rows: int, wanted: Mapping[str, int], num_clients: int) -> None:
    """Blame the number of clients if the parts alone fit, else the part that can shrink.

    Raises:
        ConfigError: less than one private row is left for each client.
    """
    private = rows - sum(wanted.values())
    if private >= max(num_clients, 1):
        return
    if private >= 1:
        raise ConfigError(
            f"data.num_clients = {num_clients}, but only {private} rows are private; "
            f"write at most {private}"
        )
    others = rows - num_clients - wanted["test"]
    if others - wanted["validation"] >= 1:
        most = _rounded_down((others - wanted["validation"]) / rows, len(str(rows)) + 1)
        raise ConfigError(
            f"data.transfer_fraction leaves too few private rows; write at most {most}"
        )
    if others - wanted["transfer"] >= 0:
        most = others - wanted["transfer"]
        raise ConfigError(f"data.validation_size leaves too few private rows; write at most {most}")
    raise ConfigError(
        "data.transfer_fraction and data.test_fraction leave too few private rows; "
        "write smaller shares, such as 0.25 and 0.2"
    )


def _rounded_down(value: float, digits: int) -> float:
    scale = 10.0**digits
    return math.floor(value * scale) / scale
