"""Where the program keeps files that outlive a run: one folder of the user's."""

import os
from pathlib import Path

import platformdirs

from common.failures import ConfigError, FolderError

_OWNER_ONLY = 0o700
_LIMIT, _MEGABYTES = "FEDKNOT_CACHE_MB", 4000


def cache_root() -> Path:
    """The path of the cache, which may not exist yet: enough for reading.

    The environment variable ``FEDKNOT_CACHE`` names it; without it, it lies where the
    operating system wants the caches of users.
    """
    named = os.environ.get("FEDKNOT_CACHE")
    return Path(named).expanduser().absolute() if named else platformdirs.user_cache_path("fedknot")


def cache_dir() -> Path:
    """The cache, made on demand (mode 0700) and fit for writing.

    Raises:
        FolderError: it cannot be made or written to.
    """
    return _made(cache_root())


def sites_dir() -> Path:
    """Where the sites of a federation keep their own stores; nobody but the owner may look.

    Raises:
        FolderError: it cannot be made or written to.
    """
    folder = _made(cache_dir() / "sites")
    try:
        folder.chmod(_OWNER_ONLY)
    except OSError as error:
        raise FolderError(_complaint(folder)) from error
    return folder


def cache_bytes() -> int:
    """How much a folder of cached features may hold: ``FEDKNOT_CACHE_MB`` times 10^6, or 4 GB.

    Raises:
        ConfigError: the variable is no number.
    """
    named = os.environ.get(_LIMIT) or str(_MEGABYTES)
    if not (named.isascii() and named.isdecimal()):
        raise ConfigError(f"{_LIMIT} is {named!r}; write a whole number of megabytes")
    return int(named) * 10**6


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(_complaint(folder)) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise FolderError(_complaint(folder))
    return folder


def _complaint(folder: Path) -> str:
    return f"the cache {folder} cannot be written; set FEDKNOT_CACHE to a folder of your own"
