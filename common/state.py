"""What a learning part of the server remembers between rounds."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

State: TypeAlias = dict[str, NDArray[Any]]
"""Named arrays, so that it can be checkpointed."""

NOTHING: State = {}
"""The state of who remembers nothing; never written to."""
