"""Whether a process bears a mark: a variable that it inherited from whoever started it."""

from pathlib import Path

import psutil


def bears(process: psutil.Process, name: str, value: str) -> bool:
    """Whether an environment variable of a process has this value.

    Linux keeps the environment in a file. It is read as it is: who has renamed itself, as Ray's
    agents do, has blanks at its start, where psutil stops. The new name may have overwritten this
    very variable, so False proves nothing of such a process. Elsewhere psutil asks the system.

    Args:
        process: dead or alive, whoever's it is.
        name: of the variable.
        value: in full.
    """
    place = Path(f"/proc/{process.pid}/environ")
    try:
        if place.parent.is_dir():
            return f"{name}={value}".encode() in place.read_bytes().split(b"\0")
        return bool(process.environ().get(name) == value)
    except (psutil.Error, OSError):
        return False
