"""What an experiment is refused with."""

import pytest

from common.failures import ConfigError
from simulations.experiment_file import read


def refused(*overrides, name="synthetic", seed=None):
    """The one line with which these overrides are refused."""
    with pytest.raises(ConfigError) as failure:
        read(name, list(overrides), seed)
    line = str(failure.value)
    assert failure.value.exit_code == 2
    assert "\n" not in line
    assert line
    return line
