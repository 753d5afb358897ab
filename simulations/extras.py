"""Optional packages: imported where they are needed, missed in one line."""

import importlib
from typing import Any

from common.failures import DataError


def optional(module: str, extra: str, what: str) -> Any:
    """An optional package.

    Args:
        module: the name under which it is imported.
        extra: the extra of ours that brings it.
        what: what it is needed for.

    Raises:
        DataError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise DataError(
            f"{what} needs the package {package}; type: pip install 'fedknot[{extra}]'"
        ) from error
