"""Failures a person can mend: one clear line each, and the exit code that says which kind."""

from typing import ClassVar


class Failure(Exception):
    """What went wrong and what to do instead, in one line; never private text."""

    exit_code: ClassVar[int] = 1


class ConfigError(Failure, ValueError):
    """The call or the configuration does not describe a runnable experiment."""

    exit_code = 2


class TooFewClients(Failure):
    """Fewer than ``k_min`` clients answered."""

    exit_code = 3


class DataError(Failure):
    """Data is missing or damaged: an archive, a column, a label."""

    exit_code = 4


class BudgetExceeded(Failure):
    """More privacy would be spent than was allowed."""

    exit_code = 5


class FolderError(Failure):
    """The run folder exists, cannot be written, is in use or does not match."""

    exit_code = 6


class CheckFailed(Failure):
    """A check of a finished run failed: hashes differ or an audit chain is broken."""

    exit_code = 7


KINDS = {
    kind.exit_code: kind
    for kind in (
        Failure,
        ConfigError,
        TooFewClients,
        DataError,
        BudgetExceeded,
        FolderError,
        CheckFailed,
    )
}
