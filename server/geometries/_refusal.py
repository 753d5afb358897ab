"""How a component refuses settings that do not fit the data set's labels."""

from collections.abc import Iterator
from contextlib import contextmanager

from common.failures import ConfigError


@contextmanager
def config_errors() -> Iterator[None]:
    """Say where in the experiment the argument stands that :mod:`common.labels` refused."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"server.geometry.{error}") from error
